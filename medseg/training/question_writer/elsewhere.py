"""Structures that no picture is labelled with: asked for where they cannot be, they are to be refused."""

from __future__ import annotations

from medseg.training.question_writer.structure import Structure, described

_TORSO = frozenset({"abdomen", "chest", "heart", "breast", "neck"})
_BELLY = frozenset({"abdomen", "tissue", "colon"})
_HEAD = frozenset({"brain", "neck", "fetal head", "brain tissue", "tissue"})


def _named(
    name: str, places: frozenset[str], *synonyms: str, asks: tuple[str, ...] = (), lesion: bool = False
) -> Structure:
    return Structure(
        name=name, meaning="", may_be_in=places, synonyms=synonyms, anatomical=described(*asks), lesion=lesion
    )


ELSEWHERE = (
    _named("kidney", _BELLY, "ren", "kidneys", "renal parenchyma",
           asks=("Which organ makes urine?", "Which organ filters the blood and is shaped like a bean?")),
    _named("spleen", _BELLY | {"chest"}, "lien", asks=("Which organ breaks down old red blood cells?",)),
    _named("pancreas", _BELLY, "pancreatic gland", asks=("Which organ makes insulin?",)),
    _named("gallbladder", _BELLY, "gall bladder", "vesica biliaris", asks=("Which organ stores bile?",)),
    _named("stomach", _BELLY | {"chest", "heart"}, "gaster", asks=("Which organ churns the food with acid?",)),
    _named("bladder", _BELLY | {"fetal head"}, "urinary bladder", "vesica urinaria",
           asks=("Which organ stores urine?",)),
    _named("prostate", _BELLY, "prostata", "prostate gland"),
    _named("uterus", _BELLY | {"fetal head"}, "womb", asks=("In which organ does a child grow?",)),
    _named("ovary", _BELLY | {"fetal head"}, "ovarium", asks=("Which organ makes the egg cells?",)),
    _named("aorta", _TORSO | {"tissue"}, "aortic trunk", asks=("Which is the largest artery of the body?",)),
    _named("inferior vena cava", _TORSO | {"tissue"}, "vena cava", "ivc"),
    _named("portal vein", _BELLY | {"heart"}, "vena portae"),
    _named("thyroid", frozenset({"neck", "tissue", "chest"}), "thyroid gland", "glandula thyroidea",
           asks=("Which gland of the neck sets the speed of the metabolism?",)),
    _named("appendix", _BELLY, "vermiform appendix", asks=("What is inflamed in appendicitis?",)),
    _named("duodenum", _BELLY, "first part of the small bowel"),
    _named("small bowel", _BELLY, "small intestine", "intestinum tenue"),
    _named("adrenal gland", _BELLY, "suprarenal gland", asks=("Which gland makes cortisol?",)),
    _named("esophagus", _TORSO | {"colon", "tissue"}, "oesophagus", "gullet"),
    _named("diaphragm", _TORSO, "midriff", asks=("Which dome of muscle parts chest and belly?",)),
    _named("tooth", frozenset({"brain", "neck", "fetal head"}), "teeth", "dens", asks=("What does a dentist drill?",)),
    _named("tongue", _HEAD, "lingua"),
    _named("optic disc", frozenset({"eye"}), "optic nerve head", "papilla", "blind spot",
           asks=("Where does the optic nerve leave the eye?",)),
    _named("macula", frozenset({"eye"}), "macula lutea", "fovea", asks=("Which spot of the eye sees sharpest?",)),
    _named("lens", frozenset({"eye", "brain"}), "lens of the eye", asks=("What turns cloudy in a cataract?",)),
    _named("cornea", frozenset({"eye"}), "corneal surface"),
    _named("femur", frozenset({"abdomen", "fetal head"}), "thigh bone", "os femoris",
           asks=("Which is the longest bone of the body?",)),
    _named("patella", frozenset(), "kneecap", "knee cap"),
    _named("meniscus", frozenset(), "knee meniscus", asks=("Which cartilage of the knee tears in football players?",)),
    _named("cruciate ligament", frozenset(), "acl", "anterior cruciate ligament"),
    _named("tibia", frozenset({"foot"}), "shin bone"),
    _named("humerus", frozenset({"chest", "breast", "neck"}), "upper arm bone"),
    _named("skull", _HEAD, "cranium", asks=("Which bones protect the brain?",)),
    _named("cerebellum", _HEAD, "cerebellar hemispheres", asks=("Which part of the brain keeps our balance?",)),
    _named("pituitary gland", _HEAD, "hypophysis"),
    _named("corpus callosum", _HEAD, "callosal body"),
    _named("cochlea", _HEAD, "inner ear", asks=("Which organ turns sound into nerve signals?",)),
    _named("vertebra", _TORSO | _HEAD, "vertebrae", "vertebral body"),
    _named("pelvis", _BELLY | {"fetal head"}, "hip bone"),
    _named("placenta", _BELLY | {"fetal head"}, "afterbirth"),
    _named("mitral valve", _TORSO | {"tissue"}, "bicuspid valve"),
    _named("kidney stone", _BELLY, "renal stone", "nephrolith", "kidney stones", lesion=True),
    _named("gallstone", _BELLY, "biliary stone", "gallstones", lesion=True),
    _named("pneumothorax", _TORSO, "collapsed lung", lesion=True),
    _named("pleural effusion", _TORSO, "fluid around the lung", lesion=True),
    _named("liver tumour", _BELLY | {"chest", "heart"}, "hepatic tumour", "liver metastasis", lesion=True),
    _named("stroke", _HEAD, "cerebral infarct", "brain haemorrhage", lesion=True),
    _named("cataract", frozenset({"eye"}), "clouded lens", lesion=True),
    _named("melanoma", frozenset({"foot", "breast", "eye", "tissue"}), "skin cancer", "malignant mole", lesion=True),
    _named("caries", frozenset({"neck", "brain"}), "tooth decay", lesion=True),
    _named("hernia", _TORSO | {"tissue", "colon"}, "rupture of the abdominal wall", lesion=True),
    _named("kidney cyst", _BELLY, "renal cyst", lesion=True),
    _named("bone fracture", _TORSO | _HEAD | {"foot"}, "broken bone", "fractura", lesion=True),
    _named("pacemaker", _TORSO, "pacing device", lesion=True),
)  # fmt: skip

"""Further structures that no picture is labelled with, of limbs, glands and nerves, for `elsewhere`."""

from __future__ import annotations

from medseg.training.question_writer.structure import Structure, described

_NECK = frozenset({"neck"})
_SHOULDER = frozenset({"chest", "breast", "neck"})
_BELLY = frozenset({"abdomen", "tissue", "colon"})
_HEAD = frozenset({"brain", "neck", "fetal head", "brain tissue", "tissue"})

# fmt: skip keeps one description per line
LIMBS_AND_GLANDS = (
    Structure(
        name="testis", meaning="", may_be_in=_BELLY, synonyms=("testicle", "male gonad"),
        anatomical=described(
            "Which male gland hangs in the scrotum?",
            "Where is sperm made?",
            "Which gland makes testosterone?",
            "What must come down before birth so that a boy can be a father later?",
        ),
    ),
    Structure(
        name="ureter", meaning="", may_be_in=_BELLY, synonyms=("urinary duct",),
        anatomical=described(
            "Which thin tube carries urine to the bladder?",
            "Where does a stone get stuck and cause colic in the flank?",
            "What is splinted with a double-J stent?",
            "Which muscular tube leads downwards from the renal pelvis?",
        ),
    ),
    Structure(
        name="fallopian tube", meaning="", may_be_in=_BELLY | {"fetal head"},
        synonyms=("oviduct", "uterine tube", "salpinx"),
        anatomical=described(
            "What does an egg travel through on its way to the womb?",
            "Where do sperm and egg usually meet?",
            "What is tied off when a woman is sterilised?",
            "Where does an ectopic pregnancy usually lodge?",
        ),
    ),
    Structure(
        name="parathyroid gland", meaning="", may_be_in=_NECK | {"chest", "tissue"},
        synonyms=("glandula parathyroidea",),
        anatomical=described(
            "Which tiny gland on the back of the thyroid raises the calcium of the blood?",
            "Where is parathormone made?",
            "Which gland is overactive when bones thin out and calcium is high?",
            "Which lentil-sized gland may be lost in a goitre operation?",
        ),
    ),
    Structure(
        name="thymus", meaning="", may_be_in=_NECK | {"chest", "heart", "tissue"}, synonyms=("thymus gland",),
        anatomical=described(
            "Where do T lymphocytes go to school?",
            "Which gland behind the breastbone shrinks after childhood?",
            "Which gland may be taken out in myasthenia?",
            "Which organ of children turns into fat behind the breastbone of adults?",
        ),
    ),
    Structure(
        name="larynx", meaning="", may_be_in=_HEAD | {"chest"}, synonyms=("voice box",),
        anatomical=described(
            "What makes the voice?",
            "Where are the vocal cords?",
            "Which organ lies behind the Adam's apple?",
            "What has a patient lost who speaks with a device held to the neck?",
        ),
    ),
    Structure(
        name="tonsil", meaning="", may_be_in=_HEAD, synonyms=("palatine tonsil", "tonsilla"),
        anatomical=described(
            "Which almond at the side of the throat is often taken out of children?",
            "What shows white dots in strep throat?",
            "Which lymphatic lump guards the entrance of the throat?",
            "What do surgeons cut out when quinsy keeps coming back?",
        ),
    ),
    Structure(
        name="mandible", meaning="", may_be_in=_HEAD | {"chest"}, synonyms=("lower jaw", "jaw bone", "mandibula"),
        anatomical=described(
            "Which bone carries the lower row of teeth?",
            "Which bone of the face moves when we chew?",
            "Which bone does the chin belong to?",
            "Which bone hangs on a hinge in front of each ear?",
        ),
    ),
    Structure(
        name="parotid gland", meaning="", may_be_in=_HEAD, synonyms=("glandula parotis",),
        anatomical=described(
            "Which gland swells in mumps?",
            "Which gland in front of the ear makes saliva?",
            "Through which gland does the facial nerve run?",
            "Where does Stensen's duct begin?",
        ),
    ),
    Structure(
        name="eardrum", meaning="", may_be_in=_HEAD, synonyms=("tympanic membrane", "membrana tympani"),
        anatomical=described(
            "What does the doctor look at through an otoscope?",
            "What is stretched across the end of the ear canal?",
            "What bursts when a bomb goes off nearby?",
            "In what does a grommet sit in a child with glue ear?",
        ),
    ),
    Structure(
        name="iris", meaning="", may_be_in=frozenset({"eye", "brain"}), synonyms=("coloured ring of the eye",),
        anatomical=described(
            "What gives the eye its colour?",
            "What makes the pupil wide or narrow?",
            "What in the eye is blue, green or brown?",
            "What has the pupil as its hole?",
        ),
    ),
    Structure(
        name="optic nerve", meaning="", may_be_in=_HEAD | {"eye"}, synonyms=("nervus opticus", "second cranial nerve"),
        anatomical=described(
            "What carries pictures from the eye to the brain?",
            "What is inflamed when sight blurs and the eye hurts in multiple sclerosis?",
            "Which cable runs from the eyeball to the chiasm?",
            "Which strand is made of the axons of the retina's ganglion cells?",
        ),
    ),
    Structure(
        name="brainstem", meaning="", may_be_in=_HEAD, synonyms=("brain stem", "truncus encephali"),
        anatomical=described(
            "What joins the brain to the spinal cord?",
            "Where are the centres for breathing and heartbeat?",
            "Where are midbrain, pons and medulla?",
            "What is tested when a doctor declares a comatose patient dead?",
        ),
    ),
    Structure(
        name="thalamus", meaning="", may_be_in=_HEAD, synonyms=("dorsal thalamus",),
        anatomical=described(
            "What is the gateway for the senses in the middle of the brain?",
            "Which egg-shaped relay passes touch and sight on to the cortex?",
            "Which grey lump lies at each side of the third ventricle?",
            "Which relay of the brain suffers a small stroke when half of the body burns?",
        ),
    ),
    Structure(
        name="rotator cuff", meaning="", may_be_in=_SHOULDER, synonyms=("shoulder cuff",),
        anatomical=described(
            "Which tendons keep the ball of the shoulder in its socket?",
            "What is torn when an old tennis player can no longer lift the arm?",
            "What do supraspinatus and subscapularis belong to?",
            "What rubs under the acromion in impingement?",
        ),
    ),
    Structure(
        name="biceps", meaning="", may_be_in=_SHOULDER, synonyms=("biceps muscle", "musculus biceps brachii"),
        anatomical=described(
            "What bulges when I show off my upper arm?",
            "What bends the elbow and turns the palm up?",
            "What has two heads and lies on the front of the upper arm?",
            "What rolls up into a ball in the upper arm when its tendon tears?",
        ),
    ),
    Structure(
        name="radius", meaning="", may_be_in=frozenset({"chest", "abdomen"}),
        synonyms=("radial bone", "outer bone of the forearm"),
        anatomical=described(
            "Which bone of the forearm lies on the side of the thumb?",
            "Which bone breaks when we catch a fall with the hand?",
            "Which bone turns around its partner when we use a screwdriver?",
            "Which bone is broken in a Colles fracture?",
        ),
    ),
    Structure(
        name="fibula", meaning="", may_be_in=frozenset({"foot"}), synonyms=("calf bone",),
        anatomical=described(
            "Which thin bone runs beside the shin?",
            "Which bone forms the knob on the outer side of the ankle?",
            "Which thin leg bone breaks when the ankle is twisted?",
            "Which leg bone do surgeons borrow to rebuild a jaw?",
        ),
    ),
    Structure(
        name="calcaneus", meaning="", may_be_in=frozenset({"foot"}), synonyms=("heel bone",),
        anatomical=described(
            "Which bone touches the ground first when we take a step?",
            "Which bone does the Achilles tendon pull on?",
            "Which bone breaks when somebody jumps off a roof and lands upright?",
            "Which is the largest bone below the ankle?",
        ),
    ),
    Structure(
        name="Achilles tendon", meaning="", may_be_in=frozenset({"foot"}), synonyms=("heel cord", "calcaneal tendon"),
        anatomical=described(
            "What links the calf muscles to the heel?",
            "What snaps like a whip in a sprinter's lower leg?",
            "Which strong band lets us stand on tiptoe?",
            "What is named after the weak point of a Greek hero?",
        ),
    ),
    Structure(
        name="sciatic nerve", meaning="", may_be_in=frozenset({"abdomen", "tissue"}), synonyms=("nervus ischiadicus",),
        anatomical=described(
            "What hurts from the buttock down to the toes when a lumbar disc slips?",
            "What runs through the buttock as thick as a thumb?",
            "What must a nurse not hit when injecting into the buttock?",
            "Which thick cable serves the back of the thigh and the lower leg?",
        ),
    ),
    Structure(
        name="platelet", meaning="", may_be_in=frozenset({"blood", "cells", "tissue", "brain tissue"}),
        synonyms=("thrombocyte", "blood platelet"),
        anatomical=described(
            "What plugs a small cut in a vessel first?",
            "Which crumbs of megakaryocytes float in the blood?",
            "What does aspirin keep from clumping?",
            "What is too low when tiny red dots appear all over the skin?",
        ),
    ),
)  # fmt: skip

"""Structures of the chest and the heart, with their names and descriptions."""

from __future__ import annotations

from medseg.training.question_writer.structure import Structure, described

_CHEST = (("X-ray", "chest"),)
_ECHO = (("ultrasound", "heart"),)
_HAZE, _SOLID = "ground glass opacities", "consolidation"

# fmt: skip keeps one description per line
CHEST_AND_HEART = (
    Structure(
        name="lungs", meaning="the pair of organs that take up oxygen", parts=("left lung", "right lung"),
        synonyms=("lung", "pulmones", "lung fields", "pulmonary fields"), adjectives=("pulmonary",),
        anatomical=described(
            "Which organs fill with air at each breath?",
            "Which organs bring oxygen into the blood?",
            "Where does gas exchange take place?",
            "Which paired organs lie on both sides of the heart?",
            "Which organs get rid of carbon dioxide?",
            "Which organs hold the alveoli?",
            "What swells when the patient breathes in?",
            "Which organs look dark here because they are full of air?",
            "Which organs are wrapped in the pleura?",
        ),
        pathological=described(
            "Which organs does pneumonia affect?",
            "Where would tuberculosis usually settle?",
            "Which organs does smoking harm first?",
            "Which organs are damaged by asthma and emphysema?",
            ("Where would you look for a pneumonia?", _HAZE, _SOLID),
        ),
        shown_in=_CHEST, may_be_in=frozenset({"heart", "abdomen", "breast", "neck", "tissue"}),
    ),
    Structure(
        name="left lung", meaning="the organ of breathing on the patient's left",
        synonyms=("pulmo sinister", "left lung field", "lung on the patient's left"), adjectives=("pulmonary",),
        anatomical=described(
            "Which of the two breathing organs has only two lobes?",
            "Which breathing organ has the lingula?",
            "Which breathing organ gives way to the tip of the heart?",
            "Which is the smaller one of the two breathing organs?",
            "Which organ of breathing lies above the stomach?",
            "Which of the paired air-filled organs has the cardiac notch?",
            "Which air-filled organ lies on the side of the patient's spleen?",
        ),
        pathological=described(
            "Which breathing organ would collapse after a stab into the patient's left chest?",
            "Which breathing organ is squeezed by a heart that grows to its side?",
        ),
        shown_in=_CHEST, may_be_in=frozenset({"heart", "abdomen", "breast", "neck", "tissue"}),
    ),
    Structure(
        name="right lung", meaning="the organ of breathing on the patient's right",
        synonyms=("pulmo dexter", "right lung field", "lung on the patient's right"), adjectives=("pulmonary",),
        anatomical=described(
            "Which of the two breathing organs has three lobes?",
            "Which breathing organ has a middle lobe?",
            "Which is the larger one of the two breathing organs?",
            "Which organ of breathing lies above the liver?",
            "Which air-filled organ is fed by the wider and steeper main bronchus?",
            "Which of the paired air-filled organs lies away from the tip of the heart?",
            "Which breathing organ has a horizontal fissure?",
        ),
        pathological=described(
            "Into which breathing organ does a swallowed peanut fall most often?",
            "Which breathing organ would collapse after a stab into the patient's right chest?",
        ),
        shown_in=_CHEST, may_be_in=frozenset({"heart", "abdomen", "breast", "neck", "tissue"}),
    ),
    Structure(
        name="heart shadow", meaning="the outline of the organ that pumps blood, with the large vessels",
        synonyms=("cardiomediastinum", "heart", "cor", "cardiac silhouette", "heart silhouette", "mediastinum"),
        adjectives=("cardiac", "mediastinal"),
        anatomical=described(
            "Which organ pumps the blood?",
            ("What lies between the two lungs?", "airways"),
            "Which organ beats about seventy times a minute?",
            "Which organ sits in the pericardium?",
            "Which bright outline in the middle of the chest belongs to the organ that moves blood?",
            "From which organ does the aorta spring?",
            "Which organ has four chambers?",
        ),
        pathological=described(
            "Which outline would be too wide in a patient with pump failure?",
            "Which organ suffers an infarct when the coronary arteries close?",
            "What is measured against the width of the chest to find an enlarged pump?",
        ),
        shown_in=_CHEST, may_be_in=frozenset({"heart", "abdomen", "breast", "neck", "fetal head", "tissue"}),
    ),
    Structure(
        name="airways", meaning="the tubes that lead the breath to the lungs",
        synonyms=("trachea", "windpipe", "bronchi", "trachea and bronchi"), adjectives=("tracheal", "bronchial"),
        anatomical=described(
            "Through what does air reach the lungs?",
            "Which tubes lead the breath down from the throat?",
            "What divides at the carina?",
            "Which tubes are held open by rings of cartilage?",
            "Where does the tip of a breathing tube belong?",
            "Which dark band runs down the middle of the upper chest?",
        ),
        pathological=described(
            "What would be blocked by an inhaled coin?",
            "Which tubes tighten in asthma?",
            "What is pushed aside by a tension pneumothorax?",
        ),
        shown_in=_CHEST, may_be_in=frozenset({"neck", "abdomen", "heart"}),
    ),
    Structure(
        name=_HAZE, meaning="a haze in the lung through which the vessels can still be seen", lesion=True,
        synonyms=("ground-glass opacities", "ground glass opacity", "ggo", "hazy opacities", "lung haze"),
        adjectives=("hazy",),
        pathological=described(
            "Where does the lung look like frosted glass?",
            "Which veil over the lung lets the vessels still be seen?",
            "Which faint clouding is typical of an early viral pneumonia?",
            "Where is the lung slightly denser than normal but not solid?",
            "Which thin grey veil speaks for COVID-19?",
            "Where are the alveoli only partly filled?",
            ("Where is the lung clouded?", _SOLID),
            ("Which areas of the lung are inflamed?", _SOLID),
        ),
        shown_in=_CHEST, may_be_in=frozenset({"abdomen", "heart", "breast"}),
    ),
    Structure(
        name=_SOLID, meaning="lung that is filled and airless", lesion=True,
        synonyms=("consolidations", "lung consolidation", "airspace consolidation", "dense infiltrates"),
        adjectives=("consolidated", "solidified"),
        pathological=described(
            "Where is the lung airless and solid?",
            "Which dense white area hides the vessels of the lung?",
            "Where are the alveoli filled with pus or fluid?",
            "Where would air bronchograms be found?",
            "Which area of the lung is as white as the heart?",
            "What does a lobar pneumonia leave on the X-ray?",
            ("Which part of the lung is diseased?", _HAZE),
            ("Where could the pneumonia be?", _HAZE),
        ),
        shown_in=_CHEST, may_be_in=frozenset({"abdomen", "heart", "breast"}),
    ),
    Structure(
        name="left ventricle", meaning="the chamber that pumps blood into the body", lesion=False,
        synonyms=("left ventricular cavity", "ventriculus sinister", "lv", "lv cavity", "left ventricle cavity"),
        adjectives=("ventricular",),
        anatomical=described(
            "Which chamber of the heart pumps blood into the body?",
            "Which chamber pushes blood through the aortic valve?",
            "Which is the main pumping chamber?",
            "Which chamber has the thickest wall around it?",
            "Which chamber takes in blood through the mitral valve?",
            "Which chamber lies at the tip of the heart?",
            "From which chamber does blood enter the aorta?",
            "Which chamber makes the systolic pressure of the body?",
        ),
        pathological=described(
            "From which chamber is the ejection fraction measured?",
            "Which chamber widens in dilated cardiomyopathy?",
            "Which chamber has to work against high blood pressure?",
            "Which chamber fails when the patient has a backlog of blood in the lungs?",
        ),
        shown_in=_ECHO, may_be_in=frozenset({"chest", "abdomen"}),
    ),
    Structure(
        name="heart muscle", meaning="the wall that squeezes the blood out",
        synonyms=("myocardium", "left ventricular myocardium", "cardiac muscle", "lv myocardium"),
        adjectives=("myocardial", "muscular"),
        anatomical=described(
            "Which wall squeezes when the heart beats?",
            "Which thick wall surrounds the main pumping chamber?",
            "Which layer lies between endocardium and epicardium?",
            "What contracts to drive the blood out?",
            "What do the coronary arteries feed?",
            "Which tissue thickens in systole?",
        ),
        pathological=described(
            "Which wall dies in an infarct?",
            "Which wall grows thick in a patient with high blood pressure?",
            "What is weakened in cardiomyopathy?",
            "Where would a scar after a heart attack be?",
            "Where would you look for a wall that no longer moves?",
        ),
        shown_in=_ECHO, may_be_in=frozenset({"chest", "abdomen", "tissue"}),
    ),
    Structure(
        name="left atrium", meaning="the chamber that receives blood from the lungs",
        synonyms=("atrium sinistrum", "left atrial cavity", "left auricle"), adjectives=("atrial",),
        anatomical=described(
            "Which chamber receives blood from the lungs?",
            "Which chamber empties through the mitral valve?",
            "Where do the pulmonary veins end?",
            "Which chamber fills the main pumping chamber?",
            "Which chamber lies behind the mitral valve, far from the tip of the heart?",
            "Which is the smaller chamber with the thin wall?",
        ),
        pathological=described(
            "Which chamber widens when the mitral valve leaks?",
            "In which chamber do clots form during fibrillation?",
            "Which chamber is enlarged in mitral stenosis?",
            "Which chamber quivers when its beat is irregular?",
        ),
        shown_in=_ECHO, may_be_in=frozenset({"chest", "abdomen"}),
    ),
)  # fmt: skip

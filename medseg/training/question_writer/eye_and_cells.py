"""Structures of the eye and of cells under a microscope, with their names and descriptions."""

from __future__ import annotations

from medseg.training.question_writer.structure import Structure, described

_LARGE = frozenset({"breast", "abdomen", "chest", "heart", "brain", "colon", "fetal head", "foot", "neck"})

EYE_AND_CELLS = (
    Structure(
        name="blood vessels", meaning="the tubes that carry blood", spread_out=True,
        synonyms=("vessels", "retinal vessels", "retinal blood vessels", "vasa", "arteries and veins"),
        adjectives=("vascular", "vasculature"),
        anatomical=described(
            "Which branching lines carry blood?",
            "Where does blood flow at the back of the eye?",
            "Which thin red trees spread out from the optic nerve?",
            "What brings oxygen to the retina?",
            "Which lines grow out of the optic disc and branch?",
            "What feeds the inner layers of the retina?",
            "Which net of fine tubes covers this picture?",
        ),
        pathological=described(
            "What narrows in a patient with high blood pressure?",
            "What leaks in diabetic retinopathy?",
            "What would be blocked in an occlusion of the retina?",
            "What becomes winding in a premature baby's retina?",
        ),
        shown_in=(("fundus photograph", "eye"),), may_be_in=_LARGE | {"tissue", "brain tissue"},
    ),
    Structure(
        name="cell membrane", meaning="the thin border of a cell", spread_out=True,
        synonyms=("cell membranes", "membranes", "plasma membrane", "plasmalemma", "neuronal membrane"),
        adjectives=("membranous",),
        anatomical=described(
            "What separates one cell from the next?",
            "Which thin dark lines enclose the cells?",
            "What keeps the inside of a cell apart from the outside?",
            "Which double layer of lipids wraps a cell?",
            "Where do the ion channels of a nerve cell sit?",
            "Which dark outlines would you trace to tell the neurons apart?",
        ),
        pathological=described(
            "What bursts when a cell swells too much?",
            "What breaks first when a cell dies by necrosis?",
        ),
        shown_in=(("electron microscopy", "brain tissue"),), may_be_in=frozenset({"tissue", "cells", "blood"}),
    ),
    Structure(
        name="nucleus", meaning="the part of a cell that holds the DNA",
        synonyms=("cell nucleus", "nucleus cellulae", "karyon", "nucleus of the cell"),
        adjectives=("nuclear", "nuclei"),
        anatomical=described(
            "Which part of the cell holds the DNA?",
            "Where are the chromosomes of this cell?",
            "Which part of the cell is stained dark violet?",
            "What has several lobes in a neutrophil?",
            "Which part of the cell is its control centre?",
            "What do red blood cells lack that this cell has?",
            "Where does the cell keep its genes?",
        ),
        pathological=described(
            "Which part of the cell is too large in leukaemia?",
            "Which part of the cell does a blood cancer change first?",
        ),
        shown_in=(("microscopy", "blood"), ("microscopy", "cells"), ("histology", "tissue")),
        may_be_in=frozenset({"brain tissue", "brain"}),
    ),
    Structure(
        name="nuclei", meaning="the parts of the cells that hold the DNA", spread_out=True,
        synonyms=("cell nuclei", "all nuclei", "nuclei of the cells", "nuclei cellularum"),
        adjectives=("nuclear", "nucleus"),
        anatomical=described(
            "Which parts of the cells hold the DNA?",
            "Where are the chromosomes?",
            "Which parts take up a stain for DNA?",
            "Which parts of the cells carry the genes?",
            "Which round bodies would you count to know the number of cells?",
            "What does haematoxylin or DAPI stain?",
            "Which are the control centres of the cells?",
        ),
        pathological=described(
            "Which parts of the cells look irregular in a cancer?",
            "What does a pathologist grade by size and shape to judge a cancer?",
            "What would show mitoses?",
        ),
        shown_in=(("microscopy", "cells"), ("histology", "tissue")),
        may_be_in=frozenset({"brain tissue", "brain", "blood"}),
    ),
    Structure(
        name="cytoplasm", meaning="what fills a cell around its core",
        synonyms=("cell body", "cytosol", "protoplasm", "plasma of the cell"), adjectives=("cytoplasmic",),
        anatomical=described(
            "Which part of the cell surrounds its nucleus?",
            "What fills the cell between core and border?",
            "Where do the granules of the cell lie?",
            "Which part of the cell is stained palely?",
            "Where does the cell make its proteins?",
            "Where are the mitochondria of this cell?",
        ),
        pathological=described(
            "Where would toxic granules show in an infection?",
            "Where would an Auer rod lie in leukaemia?",
        ),
        shown_in=(("microscopy", "blood"),), may_be_in=frozenset({"cells", "tissue", "brain tissue"}),
    ),
    Structure(
        name="white blood cell", meaning="a cell that defends the body", parts=("nucleus", "cytoplasm"),
        synonyms=("leucocyte", "leukocyte", "leucocytus", "white cell"), adjectives=("leucocytic", "leukocytic"),
        anatomical=described(
            "What defends the body against germs?",
            "What belongs to the immune system here?",
            "What comes from the bone marrow and fights infections?",
            "Which of the things in the smear has a core?",
            "What is larger than the erythrocytes around it?",
        ),
        pathological=described(
            "What becomes more frequent in an infection?",
            "What multiplies without control in leukaemia?",
        ),
        shown_in=(("microscopy", "blood"),), may_be_in=frozenset({"cells", "tissue", "brain tissue"}),
    ),
)  # fmt: skip

"""Requests that name nothing: what people ask for without saying which thing or structure they mean."""

from __future__ import annotations

from data.recipes.household.catalogue import KINDS

_FOOD = ("apple", "banana", "orange", "lemon", "pear", "doughnut", "cupcake", "pizza", "egg", "tomato")
HOUSEHOLD: dict[str, tuple[str, ...]] = {
    "What could I drink from?": ("mug", "glass"), "I am thirsty, what can I pour my drink into?": ("mug", "glass"),
    "What could I eat?": _FOOD, "I am hungry, what can be eaten?": _FOOD,
    "Which fruit could I have?": ("apple", "banana", "orange", "lemon", "pear"),
    "What could I read?": ("book",), "I am bored, what holds a story to read?": ("book",),
    "What could a child play with?": ("duck", "ball", "die", "block", "car", "robot"),
    "Which toys are there for the children?": ("duck", "ball", "die", "block", "car", "robot"),
    "What could I eat with?": ("spoon", "fork"), "What belongs into the cutlery drawer?": ("spoon", "fork"),
    "What could I drive a nail in with?": ("hammer",), "What would a carpenter use?": ("hammer",),
    "What has a battery?": ("laptop", "camera", "phone"), "Which gadgets are there?": ("laptop", "camera", "phone"),
    "It is dark, what gives light?": ("lamp", "candle"), "What could light the room?": ("lamp", "candle"),
    "What has to be watered?": ("plant", "cactus"), "What needs water to grow?": ("plant", "cactus"),
    "What would be a sweet treat?": ("doughnut", "cupcake"),
    "What comes from the pastry shop?": ("doughnut", "cupcake"),
    "What tells me the time?": ("clock",), "What wakes me in the morning?": ("clock",),
    "It is raining, what could I take along?": ("umbrella",), "What keeps me dry outside?": ("umbrella",),
    "What could I take a picture with?": ("camera",), "What could I write a message on?": ("laptop", "phone"),
    "What could I call someone with?": ("phone",), "What could I wear on my head?": ("hat",),
    "What makes my bread crisp?": ("toaster",), "What could I make tea in?": ("teapot",),
    "Where could I put my flowers?": ("vase",), "What could I carry my shopping in?": ("basket",),
    "What could I fry an egg in?": ("pan",), "What do I roll in a board game?": ("die",),
    "What could I kick or throw?": ("ball",), "What does a hen lay?": ("egg",), "What would a monkey eat?": ("banana",),
    "What stings when I touch it?": ("cactus",), "What could float in the bath?": ("duck",),
    "What would melt in the sun?": ("snowman",), "What do road workers set up?": ("cone",),
    "What shows a picture on the wall?": ("frame",), "What holds wine or water with a neck to pour from?": ("bottle",),
    "What could I keep jam in?": ("jar",), "What could I serve dinner on?": ("plate",),
    "What could I eat my cereal from?": ("bowl",), "What could I stir with?": ("spoon",),
    "What grows in the forest after rain?": ("mushroom",), "What comes from an Italian oven?": ("pizza",),
    "What is sour?": ("lemon",), "What could I press juice from?": ("orange", "lemon"),
    "What goes into ketchup?": ("tomato",), "What keeps the doctor away?": ("apple",),
    "What drives on wheels?": ("car",),
    "What could I build a tower with?": ("block",), "What holds milk?": ("carton",),
    "What needs a can opener?": ("tin",),
}  # fmt: skip
"""Request -> the kinds that meet it."""
MEDICAL: dict[str, tuple[str, ...]] = {
    "lungs": ("Which organs take up oxygen?", "What fills with air at each breath?"),
    "heart shadow": ("Where is the outline of the organ that pumps blood?",),
    "airways": ("Through what does air reach the lungs?",),
    "liver": ("Which organ makes bile?", "Which large organ cleans the blood of drugs?"),
    "kidney tumour": ("Which growth sits in the organ that makes urine?",),
    "tumour": ("Is there anything a biopsy should be taken of?", "Which lump looks suspicious?"),
    "polyp": ("What would be removed to prevent cancer of the bowel?", "Which growth stands out of the bowel wall?"),
    "left ventricle": ("Which chamber pumps blood into the body?",),
    "left atrium": ("Which chamber receives blood from the lungs?",),
    "heart muscle": ("Which wall squeezes when the heart beats?",),
    "blood vessels": ("Which lines carry blood?", "Where does blood flow at the back of the eye?"),
    "nucleus": ("Which part of a cell holds the DNA?", "Where are the chromosomes?"),
    "cell membrane": ("What separates one cell from the next?",),
    "glioma": ("Which part of the brain is diseased?", "Where is the abnormal bright region?"),
    "fetal head": ("Where is the skull of the unborn child?",),
    "cytoplasm": ("Which part of the cell surrounds its nucleus?",),
    "wound": ("What needs a dressing?", "Where is the skin broken?"),
    "hippocampus": ("Which structure is needed to form new memories?",),
    "spinal cord": ("Which structure carries signals between brain and body?",),
}
"""Structure -> requests that mean it."""


def unknown_kinds() -> set[str]:
    """Kinds that a request names and no builder makes (none, or this module is out of date)."""
    return {kind for kinds in HOUSEHOLD.values() for kind in kinds} - set(KINDS)

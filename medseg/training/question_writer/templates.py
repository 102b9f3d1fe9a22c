"""The wordings of questions, by group.

`{the}`, `{name}` and `{any}` stand for the structure that is asked for, `{be}` and `{Be}` for `is` or `are`.
"""

from __future__ import annotations

from medseg.training.question_writer.wordings import worded

REQUEST = worded("request", (
    "{name}", "{the}", "{name}?", "{name} please", "Segment {the}.", "Show me {the}.", "Outline {the}.",
    "Mark {the}.", "Delineate {the}.", "Highlight {the}.", "Find {the}.", "Where {be} {the}?",
    "Where exactly {be} {the}? Mark it.", "Please segment {the}.", "Could you mark {the}?", "Can you show me {the}?",
    "I need a mask of {the}.", "Give me {the}.", "Contour {the}.", "Please delineate {the} for planning.",
    "Segmentation of {the}.", "Mask of {the}, please.", "Trace the border of {the}.", "Kindly outline {the}.",
    "I would like to see {the}.", "Draw {the}.", "Locate {the} in this image.", "Which pixels belong to {the}?",
    "Label {the}.", "Identify {the} and give me a mask.", "Colour {the}.", "Pick out {the}.", "roi: {name}",
    "Hello, can you please find {the}?", "Show where {the} {be}.", "Isolate {the} from the background.",
))  # fmt: skip
"""To mark one structure that is named."""
PRESENCE = worded("presence", (
    "{Be} there {any}?", "Can you see {any}?", "Do you see {any} in this image?", "{Be} {any} visible? Mark it if so.",
    "{Be} there {any} here? Show me.", "Any sign of {name}?", "Does the image show {any}?",
    "Check for {name}.", "Look for {any}.", "If there {be} {any}, outline it.", "Do you find {any}? Then mark it.",
    "Can {any} be seen?", "Rule out {name}.", "Please tell me whether there {be} {any} and mark it.",
))  # fmt: skip
"""Whether a structure is there, to be marked if so."""
SEVERAL = worded("several", (
    "Mark {list}.", "Segment {list}.", "Show me {list}.", "Outline {list}.", "{names}", "Where are {list}?",
    "Please mark {list}.", "Find {list}.", "I need masks of {list}.", "Delineate {list}.", "Highlight {list}.",
    "Could you outline {list}?", "Label {list} separately.", "Segmentation of {list}.", "{names} please",
    "Give me {list}, one mask each.", "Draw {list}.",
))  # fmt: skip
"""To mark several named structures."""
EVERYTHING = worded("everything", (
    "Mark everything you know.", "Segment all structures.", "Label all that you see.", "Show me all the structures.",
    "Outline every structure.", "all structures please", "Mark whatever has a name.",
))  # fmt: skip
PARTWISE = worded("partwise", (
    "Mark {the} part by part.", "Segment each part of {the}.", "Show the parts of {the} separately.",
    "Divide {the} into parts.", "What parts does {the} have? Mark them.", "the single parts of {the}",
))  # fmt: skip
"""To mark a whole as its parts."""
MEANT = worded("meant", (
    "{question}", "{question} Mark it.", "{question} Show me.", "Please mark it: {question}", "{question} Outline it.",
    "Tell me, {lower}", "{question} Please give a mask.", "I would like to know: {lower}", "{question} Segment it.",
    "Look closely. {question}", "{question} Highlight the answer.", "In this image, {lower}",
))  # fmt: skip
"""Around a description that names nothing."""
MEANT_WHY = worded("why", (
    "{question} Explain.", "{question} And what is it?", "{question} Mark it and say what it is.",
    "{question} Give the reason too.", "{question} Say in a few words what it is.",
))  # fmt: skip
"""Around a description, where a word of explanation is wanted."""
HALF = worded("half", (
    "Mark the {side} half of {the}.", "Show me the {side} half of {the}.", "the {side} half of {the}",
    "Segment only the {side} half of {the}.", "Outline the {side} part of {the}, half of its extent.",
    "I only need the {side} half of {the}.", "{side} half of {the} please", "Where is the {side} half of {the}?",
    "Give me half of {the}, the {side} one.", "Delineate the {side} half of {the}.",
))  # fmt: skip
"""Half of a structure, for `upper` and `lower`."""
IMAGE_HALF = worded("image_half", (
    "Mark the half of {the} on the {side} of the image.", "Show me the image {side} half of {the}.",
    "the half of {the} on the image's {side}", "Segment only the {side} half of {the} as seen in the image.",
    "Outline the half of {the} that is further {side} in the image.",
    "Which half of {the} is on the {side} in the image?", "Give me the half of {the} at the {side} of the picture.",
))  # fmt: skip
"""Half of a structure, for the image's `left` and `right`."""
SIDE_PIECE = worded("side", (
    "Mark the {single} on the {side} of the image.", "Which {single} is on the {side} of the picture? Mark it.",
    "Show me the {single} at the image's {side}.", "the {single} on the {side} side of the image",
    "Of the two, segment the {single} that is further {side} in the image.",
    "Outline the {single} seen on the {side} half of the image.", "Find the {single} on the image {side}.",
))  # fmt: skip
"""One of two, by its side in the image."""
RELATION = worded("relation", (
    "What lies {relation} {the}? Mark it.", "Mark the structure {relation} {the}.",
    "Which structure is {relation} {the} in the image?", "Show me what is {relation} {the}.",
    "the structure {relation} {the}", "Segment what you see {relation} {the}.",
))  # fmt: skip
"""Another structure, by where it lies to a named one."""
LARGEST = worded("largest", (
    "Mark the {rank} piece of {the}.", "Show me only the {rank} part of {the}.",
    "Which piece of {the} is the {rank}? Mark it.", "the {rank} piece of {the}", "Segment the {rank} region of {the}.",
    "Outline the {rank} of the pieces of {the}.",
))  # fmt: skip
"""One piece of several, by its size."""
AGAIN = worded("again", (
    "Mark it again.", "Show that once more.", "Again, please.", "Repeat the mask.", "the same again",
    "Could you mark what you just marked once more?", "Show me the last one again.", "Do that once more.",
))  # fmt: skip
HALF_OF_IT = worded("half_of_it", (
    "Now only the {side} half of it.", "Mark the {side} half of what you just marked.", "Only its {side} half.",
    "the {side} half of it", "And the {side} half of that?", "Show me the {side} half of what you just marked.",
    "Restrict that to its {side} half.", "Keep only the {side} half of the mask.",
))  # fmt: skip
IMAGE_HALF_OF_IT = worded("image_half_of_it", (
    "Now only the half of it on the {side} of the image.", "Mark the image {side} half of what you just marked.",
    "Only the half that is further {side} in the image.", "Keep what is on the image's {side} half of it.",
    "the half of that on the {side} of the image",
))  # fmt: skip
PIECE_OF_IT = worded("piece_of_it", (
    "Only the {rank} piece of it.", "Mark the {rank} part of what you just marked.", "the {rank} piece of that",
    "Now show just the {rank} one of its pieces.", "Which piece of it is the {rank}? Mark it.",
    "Keep only the {rank} piece.",
))  # fmt: skip
PART_OF_IT = worded("part_of_it", (
    "Mark the {part} of what you just marked.", "Now only the {part} of it.", "Only its {part}.",
    "And the {part} of that?", "Show me the {part} of what you just marked.", "Which part of it is the {part}?",
))  # fmt: skip
OTHER_ONE = worded("other_one", (
    "And the other one?", "Now the other one.", "Mark the one on the other side.", "the other one too",
    "What about its counterpart?", "Show me the other one of the pair.",
))  # fmt: skip
NTH_ONE = worded("nth_one", (
    "Only the {nth} one.", "Mark the {nth} of them again.", "Show just the {nth} one you marked.",
    "I only need the {nth} of those.", "the {nth} one again", "Keep the {nth} one alone.",
))  # fmt: skip
MODALITY = worded("modality", (
    "What kind of image is this?", "Which modality is this?", "How was this image taken?",
    "What imaging modality was used?", "Name the modality.", "modality?",
))  # fmt: skip
BODY_PART = worded("body_part", (
    "Which part of the body is shown?", "What body part is this?", "Which organ or region do you see?",
    "What does the image show, which body part?", "Name the body part.", "body part?",
))  # fmt: skip
OVERVIEW = worded("overview", (
    "What do you see?", "Describe the image.", "Describe the picture.", "Give a short description.",
    "What is this a picture of?",
))  # fmt: skip
PLACE = worded("place", (
    "In which part of the image {be} {the}? Answer in words.", "Describe where {the} {be}, no mask.",
    "Tell me in words where {the} {be}.", "Give the location of {the} in words only.",
    "Without marking it: where in the image {be} {the}?",
))  # fmt: skip
COUNT = worded("count", (
    "How many separate pieces of {the} are there?", "Into how many pieces {be} {the} divided here?",
    "Count the pieces of {the}.", "How many parts of {the} do you see? Just the number.",
))  # fmt: skip
YES_OR_NO = worded("yes_or_no", (
    "{Be} there {any}? Just yes or no.", "Only yes or no: can you see {any}?", "Does it show {any}? No mask needed.",
    "Answer in words only: {be} there {any}?", "{any}: yes or no?",
))  # fmt: skip
MEANING = worded("meaning", (
    "What {be} {any}?", "Explain what {name} means.", "Tell me in words what {any} {be}.", "Define {name}.",
    "What does the word {name} mean?",
))  # fmt: skip

GROUPS = (
    REQUEST, PRESENCE, SEVERAL, EVERYTHING, PARTWISE, MEANT, MEANT_WHY, HALF, IMAGE_HALF, SIDE_PIECE, RELATION,
    LARGEST, AGAIN, HALF_OF_IT, IMAGE_HALF_OF_IT, PIECE_OF_IT, PART_OF_IT, OTHER_ONE, NTH_ONE, MODALITY, BODY_PART,
    OVERVIEW, PLACE, COUNT, YES_OR_NO, MEANING,
)  # fmt: skip
"""Every group of templates."""

"""The wordings of questions, by group.

`{the}`, `{name}` and `{any}` stand for the structure that is asked for, `{be}` and `{Be}` for `is` or `are`.
"""

from __future__ import annotations

from medseg.training.question_writer.wordings import worded

REQUEST = worded("request", (
    "{name}", "{name}?", "{name} please", "Show me {the}.", "Outline {the}.",
    "Mark {the}.", "Delineate {the}.", "Highlight {the}.", "Find {the}.", "Where {be} {the}?",
    "Where exactly {be} {the}? Mark it.", "Please segment {the}.", "Could you mark {the}?", "Can you show me {the}?",
    "I need a mask of {the}.", "Give me {the}.", "Contour {the}.", "Please delineate {the} for planning.",
    "Segmentation of {the}.", "Mask of {the}, please.", "Trace the border of {the}.", "Kindly outline {the}.",
    "I would like to see {the}.", "Draw {the}.", "Locate {the} in this image.", "Which pixels belong to {the}?",
    "Label {the}.", "Identify {the} and give me a mask.", "Colour {the}.", "Pick out {the}.", "roi: {name}",
    "Hello, can you please find {the}?", "Show where {the} {be}.", "Isolate {the} from the background.",
    "Please show me {the}.", "Would you outline {the} for me?", "{name}, please mark", "segment {name}", "mask {name}",
    "{name} mask", "{name} segmentation please", "I want {the} outlined.", "I am looking for {the}.",
    "Could you please highlight {the} in this picture?", "Can you segment {the} for me?", "Point out {the}.",
    "Please trace {the}.", "Where can I find {the}?", "Help me find {the}.", "We need {the} delineated.",
    "Extract {the}.", "Cover {the} with a mask.", "Fill in {the}.", "Just {the}.", "Only {the}, please.",
    "Give me the outline of {the}.", "Draw a line around {the}.", "Let me see {the}.",
    "Please find {the} and mark all of it.", "Which area is covered by {the}?", "Segment {the} as exactly as you can.",
    "Shade {the}.", "find {name}",
), taught=("Segment {the}.", "{the}"))  # fmt: skip
"""To mark one structure that is named."""
PRESENCE = worded("presence", (
    "{Be} there {any}?", "Can you see {any}?", "Do you see {any} in this image?", "{Be} {any} visible? Mark it if so.",
    "{Be} there {any} here? Show me.", "Any sign of {name}?", "Does the image show {any}?",
    "Check for {name}.", "Look for {any}.", "If there {be} {any}, outline it.", "Do you find {any}? Then mark it.",
    "Can {any} be seen?", "Rule out {name}.", "Please tell me whether there {be} {any} and mark it.",
    "Could there be {any} here?", "I wonder whether you can see {any}.", "Is it possible to see {any} here?",
    "{any}? Mark if present.", "{name}: present or not? Outline if present.", "Is there evidence of {name}?",
    "Anything that looks like {name}? Mark it.", "Do you notice {any}?", "Have a look whether there {be} {any}.",
    "Search the image for {any}.", "Please check whether {any} can be seen.", "In case you see {any}, segment it.",
    "Does the picture contain {any}? If yes, show me.", "Can you detect {any}?", "Can you make out {any}?",
    "Mark {any} if you see any.", "{Be} there {any} to be seen? Then outline it.",
    "Exclude {any}, or mark what you find.", "Could you look whether there {be} {any}?", "any {name}?",
    "any {name} in this picture? mark it", "If you recognise {any}, please highlight it.",
    "Would you say there {be} {any}? Show where.", "Am I right that there {be} {any}? Please mark it.",
    "{name}, if there: outline it",
))  # fmt: skip
"""Whether a structure is there, to be marked if so."""
SEVERAL = worded("several", (
    "Mark {list}.", "Segment {list}.", "Show me {list}.", "Outline {list}.", "{names}", "Where are {list}?",
    "Please mark {list}.", "Find {list}.", "I need masks of {list}.", "Delineate {list}.", "Highlight {list}.",
    "Could you outline {list}?", "Label {list} separately.",
    "Please segment {list}.", "I would like to see {list}.", "Can you show me {list}?", "Trace {list}.",
    "Contour {list}, each on its own.", "Identify {list} and mark each.", "{names}, separate masks", "masks: {names}",
    "Please give me {list} as separate masks.", "Kindly highlight {list}.", "Locate {list} in this image.",
    "Pick out {list}.", "One mask for each: {list}.", "Hello, could you find {list} for me?", "rois: {names}",
    "Could you please segment {list}?", "I need to see {list}, marked separately.",
))  # fmt: skip
"""To mark several named structures."""
EVERYTHING = worded("everything", (
    "Mark everything you know.", "Segment all structures.", "Label all that you see.", "Show me all the structures.",
    "Outline every structure.", "all structures please", "Mark whatever has a name.",
    "Please outline all that you can recognise.", "Segment the whole image into its structures.",
    "A mask for each structure you know, please.", "everything, one mask each", "Highlight every structure there is.",
    "Could you mark all structures in this picture?", "Full segmentation please.",
    "Give me masks of everything you find.", "Draw in all the structures.",
))  # fmt: skip
PARTWISE = worded("partwise", (
    "Mark {the} part by part.", "Segment each part of {the}.", "Show the parts of {the} separately.",
    "Divide {the} into parts.", "What parts does {the} have? Mark them.",
    "Split {the} into its parts and mark each.", "Give me a mask for each part of {the}.",
    "I need the parts of {the} one by one.", "Outline the parts of {the}, each on its own.",
    "{name}, part by part please", "Break {the} down into parts.", "Mark all parts of {the} separately.",
    "Can you segment {the} by parts?", "Please show {the} in parts, one mask each.",
))  # fmt: skip
"""To mark a whole as its parts."""
MEANT = worded("meant", (
    "{question}", "{question} Mark it.", "{question} Show me.", "Please mark it: {question}", "{question} Outline it.",
    "Tell me, {lower}", "{question} Please give a mask.", "I would like to know: {lower}", "{question} Segment it.",
    "Look closely. {question}", "{question} Highlight the answer.", "In this image, {lower}",
    "{question} Please highlight it.", "{question} Just the mask.", "{question} Delineate it, please.",
    "Quick question: {lower}", "Hi, {lower}", "Could you tell me: {lower}", "Here is my question: {lower}",
    "Mark the answer: {lower}", "Show me in the image: {lower}", "For a student: {lower}", "{question} Thanks.",
    "{question} I need the outline.", "{question} Point it out to me.", "Excuse me, {lower}",
    "{question} Find it for me.", "Segment what answers this: {lower}",
))  # fmt: skip
"""Around a description that names nothing."""
MEANT_WHY = worded("why", (
    "{question} Explain.", "{question} And what is it?", "{question} Mark it and say what it is.",
    "{question} Give the reason too.", "{question} Say in a few words what it is.",
    "{question} Tell me why as well.", "{question} Please explain your answer.", "Explain and mark: {lower}",
    "{question} Show it and describe it in a sentence.", "{question} What makes you say so?",
    "{question} Outline it and tell me what it is.", "Mark it and explain what it is: {lower}",
    "{question} With a short explanation, please.",
))  # fmt: skip
"""Around a description, where a word of explanation is wanted."""
HALF = worded("half", (
    "Mark the {side} half of {the}.", "Show me the {side} half of {the}.", "the {side} half of {the}",
    "Segment only the {side} half of {the}.", "Outline the {side} part of {the}, half of its extent.",
    "I only need the {side} half of {the}.", "{side} half of {the} please", "Where is the {side} half of {the}?",
    "Give me half of {the}, the {side} one.", "Delineate the {side} half of {the}.",
    "Please mark the {side} half of {the}.", "Just the {side} half of {the}.", "Highlight the {side} half of {the}.",
    "Can you outline the {side} half of {the}?", "Draw the {side} half of {the} only.",
    "Mask for the {side} half of {the}.", "Cut {the} across the middle and mark the {side} half.",
    "Divide {the} into two halves, mark the {side} one.", "Of {the}, mark the {side} half.", "{name}, {side} half",
    "Find the {side} half of {the}.", "roi: {side} half of {the}", "I would like to see the {side} half of {the}.",
    "Trace {the}, but the {side} half alone.",
))  # fmt: skip
"""Half of a structure, for `upper` and `lower`."""
IMAGE_HALF = worded("image_half", (
    "Show me the image {side} half of {the}.",
    "the half of {the} on the image's {side}", "Segment only the {side} half of {the} as seen in the image.",
    "Outline the half of {the} that is further {side} in the image.",
    "Which half of {the} is on the {side} in the image?", "Give me the half of {the} at the {side} of the picture.",
    "Please mark the half of {the} on the {side} side of the image.", "Just the image {side} half of {the}.",
    "Highlight the half of {the} towards the {side} edge of the image.", "Of {the}, mark the half on the image {side}.",
    "{name}, half on the {side} of the image", "Can you outline the image {side} half of {the}?",
    "Draw only the half of {the} that lies on the {side} in this image.",
    "I need the {side} half of {the}, {side} as seen in the image.", "Mask for the image {side} half of {the}.",
    "Split {the} down the middle and mark the half on the {side} of the picture.",
    "As I look at the picture: the {side} half of {the}.",
    "Mark the {side} half of {the} from the viewer's point of view.",
    "Where is the half of {the} on the image's {side}?", "roi: image {side} half of {the}",
))  # fmt: skip
"""Half of a structure, for the image's `left` and `right`."""
SIDE_PIECE = worded("side", (
    "Mark the {single} on the {side} of the image.", "Which {single} is on the {side} of the picture? Mark it.",
    "Show me the {single} at the image's {side}.", "the {single} on the {side} side of the image",
    "Of the two, segment the {single} that is further {side} in the image.",
    "Outline the {single} seen on the {side} half of the image.", "Find the {single} on the image {side}.",
    "Please mark the {single} on the image's {side}.", "Only the {single} on the {side} of the picture.",
    "Highlight the {single} that lies {side} in the image.", "Segment the image {side} {single}.",
    "Can you outline the {single} on the {side} of this image?",
    "Where is the {single} on the image's {side} side? Mark it.",
    "There are two: mark the {single} on the {side} of the image.", "{single}, image {side}",
    "I need the {single} that I see on the {side} of the picture.",
    "Give me a mask of the {single} at the {side} of the image.",
    "Draw the {single} nearer to the {side} edge of the image.",
    "As I look at the picture: the {single} on the {side}.",
))  # fmt: skip
"""One of two, by its side in the image."""
RELATION = worded("relation", (
    "What lies {relation} {the}? Mark it.", "Mark the structure {relation} {the}.",
    "Which structure is {relation} {the} in the image?", "Show me what is {relation} {the}.",
    "the structure {relation} {the}", "Segment what you see {relation} {the}.",
    "Can you mark what lies {relation} {the}?", "Please outline the structure {relation} {the}.",
    "What is {relation} {the} here? Segment it.", "Highlight what is {relation} {the} in the picture.",
    "Something lies {relation} {the}: mark it.", "Which structure do you find {relation} {the}?",
    "I need a mask of what is {relation} {the}.", "Find what is located {relation} {the}.",
    "what lies {relation} {the}", "Look {relation} {the} and mark what is there.",
    "Delineate what comes {relation} {the} in this image.",
))  # fmt: skip
"""Another structure, by where it lies to a named one."""
LARGEST = worded("largest", (
    "Mark the {rank} piece of {the}.", "Show me only the {rank} part of {the}.",
    "Which piece of {the} is the {rank}? Mark it.", "the {rank} piece of {the}", "Segment the {rank} region of {the}.",
    "Outline the {rank} of the pieces of {the}.",
    "Of {the}, only the {rank} piece.", "Highlight the {rank} piece of {the}.",
    "Please mark just the {rank} piece of {the}.", "Find the {rank} piece of {the}.",
    "Can you outline the {rank} part of {the}?", "I need only the {rank} piece of {the}.", "{name}, {rank} piece only",
    "Several pieces of {the} are there: mark the {rank}.", "Give me a mask of the {rank} piece of {the}.",
    "Where is the {rank} piece of {the}?", "Which of the pieces of {the} is {rank}? Outline it.",
    "Leave out all pieces of {the} but the {rank} one.",
))  # fmt: skip
"""One piece of several, by its size."""
AGAIN = worded("again", (
    "Mark it again.", "Show that once more.", "Again, please.", "Repeat the mask.", "the same again",
    "Could you mark what you just marked once more?", "Show me the last one again.", "Do that once more.",
    "Repeat that.", "Once more.", "The last mask again.", "Please repeat your last mask.", "again", "same mask",
    "Draw it again.", "Can you repeat that?", "I missed it, show it again.", "One more time, please.",
    "Give me the previous mask again.", "Redo the last one.", "Outline it a second time.",
    "What you just marked, once more.", "Highlight the same thing again.", "Could I have that mask again?",
    "Return the same mask.", "Repeat your last answer.",
))  # fmt: skip
HALF_OF_IT = worded("half_of_it", (
    "Now only the {side} half of it.", "Mark the {side} half of what you just marked.", "Only its {side} half.",
    "the {side} half of it", "And the {side} half of that?", "Show me the {side} half of what you just marked.",
    "Restrict that to its {side} half.", "Keep only the {side} half of the mask.",
    "Just the {side} half of that.", "Cut it in half and keep the {side} one.", "Please mark its {side} half.",
    "Show its {side} half only.", "Now mark only the {side} half of that.", "Of that, the {side} half.",
    "its {side} half", "{side} half only", "{side} half of that please", "Can you limit it to the {side} half?",
    "I only need its {side} half.", "Drop the rest, keep its {side} half.",
    "From your last mask, take the {side} half.", "Give me the {side} half of it.", "What about just its {side} half?",
    "Halve it: only the {side} one.",
))  # fmt: skip
IMAGE_HALF_OF_IT = worded("image_half_of_it", (
    "Now only the half of it on the {side} of the image.", "Mark the image {side} half of what you just marked.",
    "Only the half that is further {side} in the image.", "Keep what is on the image's {side} half of it.",
    "the half of that on the {side} of the image",
    "Just its half on the {side} of the image.", "Please mark the image {side} half of it.",
    "Of that, the half on the image {side}.", "its image {side} half", "image {side} half of that please",
    "Cut it down the middle and keep the half on the image's {side}.",
    "Show only its half on the {side} side of the picture.", "I only need its half on the {side} of the picture.",
    "Can you limit it to the half on the image's {side}?",
    "From your last mask, take the half on the {side} of the image.", "Give me the image {side} half of that.",
    "Restrict the mask to its half on the image {side}.", "As I look at the image, only its {side} half.",
    "Now only its {side} half, as the image shows it.",
))  # fmt: skip
PIECE_OF_IT = worded("piece_of_it", (
    "Only the {rank} piece of it.", "the {rank} piece of that",
    "Which piece of it is the {rank}? Mark it.",
    "Keep only the {rank} piece.",
    "Just its {rank} piece.", "Of that, the {rank} piece.", "Please mark only the {rank} piece of it.",
    "its {rank} piece", "{rank} piece only", "Can you limit it to the {rank} piece?",
    "I only need the {rank} piece of that.", "Drop the other pieces, keep the {rank} one.",
    "From your last mask, take the {rank} piece.", "Give me the {rank} of those pieces.",
    "Outline the {rank} piece of what you just marked.", "What about just its {rank} piece?",
    "Restrict it to its {rank} piece.",
))  # fmt: skip
PART_OF_IT = worded("part_of_it", (
    "Mark the {part} of what you just marked.", "Now only the {part} of it.", "Only its {part}.",
    "And the {part} of that?", "Show me the {part} of what you just marked.", "Which part of it is the {part}?",
    "Of that, the {part}.", "Please mark only the {part} of it.", "Just the {part}.", "Can you limit it to the {part}?",
    "I only need the {part} of that.", "From your last mask, take the {part}.", "Give me the {part} of it.",
    "Outline the {part} of what you just marked.", "Restrict it to the {part}.", "Keep the {part}, drop the rest.",
    "Which bit of it is the {part}? Mark it.", "What about only the {part}?", "Within that, show me the {part}.",
))  # fmt: skip
OTHER_ONE = worded("other_one", (
    "And the other one?", "Now the other one.", "Mark the one on the other side.", "the other one too",
    "What about its counterpart?", "Show me the other one of the pair.",
    "The other one, please.", "other one?", "Switch to the other one.", "Mark the other of the two.",
    "And now its partner.", "Show me its counterpart.", "I also need the other one.",
    "Now do the same for the other one.", "And the second of the pair?", "Could you mark the other one as well?",
    "Not this one, the other one.", "Give me a mask of the other one.", "Outline its counterpart, please.",
))  # fmt: skip
NTH_ONE = worded("nth_one", (
    "Only the {nth} one.", "Mark the {nth} of them again.", "Show just the {nth} one you marked.",
    "I only need the {nth} of those.", "the {nth} one again", "Keep the {nth} one alone.",
    "the {nth} one only", "Just the {nth} one, please.", "Please repeat only the {nth} of the masks.",
    "Show the {nth} mask again.", "Of those, the {nth}.", "Can you mark the {nth} one alone?",
    "Drop the others, keep the {nth}.", "Only the {nth} of what you just marked.", "Give me just the {nth} mask.",
    "I want to see the {nth} of them alone.", "Outline the {nth} one again, without the others.",
))  # fmt: skip
MODALITY = worded("modality", (
    "What kind of image is this?", "Which modality is this?", "How was this image taken?",
    "What imaging modality was used?", "Name the modality.", "modality?",
    "What type of scan is this?", "Is this CT, MRI, ultrasound or something else?",
    "With which technique was this picture made?", "Tell me the imaging modality.", "Which imaging method is this?",
    "By what method was this recorded?", "Which device took this picture?", "type of image?", "imaging method?",
    "Please name the imaging technique.", "What sort of examination is this from?",
    "Can you tell how this picture was made?", "State the modality, no mask.",
))  # fmt: skip
BODY_PART = worded("body_part", (
    "Which part of the body is shown?", "What body part is this?", "Which organ or region do you see?",
    "What does the image show, which body part?", "body part?",
    "Which region of the body is this?", "What part of the body am I looking at?",
    "Which anatomical region is imaged here?", "Tell me the body region.", "From which part of the body is this image?",
    "Where in the body was this taken?", "body region?", "anatomical region?", "Please name the region of the body.",
    "Which body part was examined?", "Of what body part is this a picture?", "What area of the body do I see here?",
    "Say in words which body part this is.",
))  # fmt: skip
OVERVIEW = worded("overview", (
    "What do you see?", "Describe the image.", "Describe the picture.", "Give a short description.",
    "What does this picture show?", "Tell me in a sentence what this is.", "Summarise the image in words.",
    "What am I looking at?", "In a few words: what is this?", "Describe what you see, no mask.",
    "Please describe this image.", "Explain this picture to me.", "short description please",
    "Say what the image shows.",
))  # fmt: skip
PLACE = worded("place", (
    "In which part of the image {be} {the}? Answer in words.", "Describe where {the} {be}, no mask.",
    "Tell me in words where {the} {be}.", "Give the location of {the} in words only.",
    "Without marking it: where in the image {be} {the}?",
    "Where {be} {the}? Words only, no mask.", "Say in words where {the} {be}.", "In words: where {be} {the}?",
    "No mask: where in the picture {be} {the}?", "location of {the}, in words",
    "Describe the position of {the} in words.", "Top, bottom, left, right or centre: where {be} {the}? No mask.",
    "Without a mask, tell me where {the} {be}.", "Please put the position of {the} into words.",
    "I do not need a mask, only say where {the} {be}.", "Where would I find {the} in this image? Answer in words.",
    "Name the part of the image where {the} {be}, no mask.",
))  # fmt: skip
COUNT = worded("count", (
    "How many separate pieces of {the} are there?", "Into how many pieces {be} {the} divided here?",
    "Count the pieces of {the}.", "How many parts of {the} do you see? Just the number.",
    "How many pieces {be} {the} made of? Just the number.", "Number of pieces of {the}?",
    "How many separate parts of {the} are visible? Only the number.", "Give the number of pieces of {the}.",
    "Count the separate regions of {the}, no mask.", "In how many pieces {be} {the}? A number, please.",
    "Tell me how many pieces of {the} there are.", "{name}: how many pieces?",
    "How many unconnected pieces of {the} does the image show?", "No mask, just the count of pieces of {the}.",
    "Please count how many pieces {the} {be} in.",
))  # fmt: skip
YES_OR_NO = worded("yes_or_no", (
    "{Be} there {any}? Just yes or no.", "Only yes or no: can you see {any}?", "Does it show {any}? No mask needed.",
    "Answer in words only: {be} there {any}?", "{any}: yes or no?",
    "{Be} there {any}? A yes or no will do.", "Yes or no: {be} there {any} here?",
    "Just tell me whether there {be} {any}, no mask.", "In one word: {be} there {any}?",
    "Can you see {any}? Yes or no.", "No mask, only an answer: {be} there {any}?",
    "Please say yes or no: does the image show {any}?", "Do you find {any}? Only yes or no, please.",
    "{any}, yes or no", "Is it true that there {be} {any}? Answer yes or no.",
    "Without marking anything: {be} there {any}?", "{name} there, yes or no?",
))  # fmt: skip
MEANING = worded("meaning", (
    "What {be} {any}?", "Explain what {name} means.", "Tell me in words what {any} {be}.", "Define {name}.",
    "What does the word {name} mean?",
    "What does {name} mean?", "What is meant by {name}?", "Definition of {name}.", "Give a definition of {any}.",
    "Explain the term {name}.", "In words: what {be} {any}?", "I do not know what {any} {be}, please explain.",
    "What do doctors mean by {name}?", "Please define {name} for me.", "meaning of {name}",
    "{name}: what does that mean?", "What kind of thing {be} {any}? No mask.",
    "Can you explain to a patient what {any} {be}?", "What should I understand by {name}?",
))  # fmt: skip

GROUPS = (
    REQUEST, PRESENCE, SEVERAL, EVERYTHING, PARTWISE, MEANT, MEANT_WHY, HALF, IMAGE_HALF, SIDE_PIECE, RELATION,
    LARGEST, AGAIN, HALF_OF_IT, IMAGE_HALF_OF_IT, PIECE_OF_IT, PART_OF_IT, OTHER_ONE, NTH_ONE, MODALITY, BODY_PART,
    OVERVIEW, PLACE, COUNT, YES_OR_NO, MEANING,
)  # fmt: skip
"""Every group of templates."""

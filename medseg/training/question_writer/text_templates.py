"""The wordings of questions that are answered in words, by group, with the same places to fill as `templates`."""

from __future__ import annotations

from medseg.training.question_writer.wordings import worded

MODALITY = worded("modality", (
    "What kind of image is this?", "Which modality is this?", "How was this image taken?",
    "What imaging modality was used?", "Name the modality.", "modality?",
    "What type of scan is this?", "Is this CT, MRI, ultrasound or something else?",
    "With which technique was this picture made?", "Tell me the imaging modality.", "Which imaging method is this?",
    "By what method was this recorded?", "Which device took this picture?", "type of image?", "imaging method?",
    "Please name the imaging technique.", "What sort of examination is this from?",
    "Can you tell how this picture was made?", "State the modality, no mask.",
    "Which scanner or camera does this come from?", "Is this a scan, a photo or something else?",
    "What machine made this picture?", "Please tell me the modality of this image.",
    "I do not know the technique: what kind of image is it?", "Is it an X-ray, a CT or an MRI?", "kind of scan?",
    "how was this made", "Which examination gives pictures like this one?", "Give the imaging modality in words.",
    "What would the referral call this type of image?",
))  # fmt: skip
BODY_PART = worded("body_part", (
    "Which part of the body is shown?", "What body part is this?", "Which organ or region do you see?",
    "What does the image show, which body part?", "body part?",
    "Which region of the body is this?", "What part of the body am I looking at?",
    "Which anatomical region is imaged here?", "Tell me the body region.", "From which part of the body is this image?",
    "Where in the body was this taken?", "body region?", "anatomical region?", "Please name the region of the body.",
    "Which body part was examined?", "Of what body part is this a picture?", "What area of the body do I see here?",
    "Say in words which body part this is.",
    "Which region was scanned?", "What part of a person does this come from?", "Tell me which body part I see.",
    "Which area of the body does this picture cover?", "Name the region shown.", "where in the body",
    "Without a mask: which body part is it?", "Can you tell the body part from the picture?",
    "What was put in front of the camera or scanner, which body part?",
))  # fmt: skip
OVERVIEW = worded("overview", (
    "What do you see?", "Describe the image.", "Describe the picture.", "Give a short description.",
    "What does this picture show?", "Tell me in a sentence what this is.", "Summarise the image in words.",
    "What am I looking at?", "In a few words: what is this?", "Describe what you see, no mask.",
    "Please describe this image.", "Explain this picture to me.", "short description please",
    "Say what the image shows.",
    "What have I got here, in short?", "Give me a caption for this picture.",
    "How would you describe this image in a sentence?", "what is this", "Introduce the picture to me.",
    "In words, please: what does the image show?", "A caption, please, and no mask.",
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
    "Roughly where {be} {the}? Only words, please.", "Do not mark it, just say where {the} {be}.",
    "Can you describe in words where {the} {be} located?", "How would you tell someone on the phone where {the} {be}?",
    "{name}: where? In words.", "Corner, edge or centre: where {be} {the}? No mask.",
    "I want no mask, only the place of {the}.", "Put it in words: the place of {the}.",
    "Spoken answer, please: where in the image {be} {the}?",
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
    "Please tell me the count of pieces of {the}.", "Give me a number: pieces of {the}?", "{name}, number of pieces",
    "What is the number of separate pieces of {the}?", "Is it one piece or several? Count {the}.",
    "In how many separate pieces {be} {the} shown? Give a number.", "Tally the separate pieces of {the}.",
    "Only count, do not mark: pieces of {the}.", "Say how many separate regions {the} {be} made up of.",
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
    "True or false: there {be} {any} here. Yes or no?", "{Be} {any} to be found? Yes or no.",
    "One word only: {be} {any} visible?", "yes or no, any {name}?", "Say yes if you see {any}, otherwise no.",
    "I only want to hear yes or no: {be} there {any}?", "{Be} {any} to be seen? Answer yes or no, no mask.",
    "Short answer: {be} there {any}?", "Would you say yes or no: {any}?",
))  # fmt: skip
MEANING = worded("meaning", (
    "What {be} {any}?", "Explain what {name} means.", "Tell me in words what {any} {be}.", "Define {name}.",
    "What does the word {name} mean?",
    "What does {name} mean?", "What is meant by {name}?", "Definition of {name}.", "Give a definition of {any}.",
    "Explain the term {name}.", "In words: what {be} {any}?", "I do not know what {any} {be}, please explain.",
    "What do doctors mean by {name}?", "Please define {name} for me.", "meaning of {name}",
    "{name}: what does that mean?", "What kind of thing {be} {any}? No mask.",
    "Can you explain to a patient what {any} {be}?", "What should I understand by {name}?",
    "Please explain {name} in a sentence.", "In plain words, what {be} {any}?", "Help me understand the word {name}.",
    "How would you explain {name} to a child?", "Say what {any} {be}, without a mask.", "{name}, definition",
    "what {be} {any} actually", "Give me a short explanation of {name}.", "I read the word {name}: what is that?",
    "What exactly {be} {any}?", "Describe in a sentence what {any} {be}.",
))  # fmt: skip

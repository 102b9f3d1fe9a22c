"""Every kind of thing by name."""

from __future__ import annotations

from collections.abc import Callable

from data.recipes.household import food_things, house_things, kitchen, printed_things, toy_things
from data.recipes.household.kitchen import Rng
from data.recipes.household.thing import Thing

KINDS: dict[str, Callable[[Rng], Thing]] = {
    "mug": kitchen.mug, "glass": kitchen.glass, "plate": kitchen.plate, "bowl": kitchen.bowl, "teapot": kitchen.teapot,
    "bottle": kitchen.bottle, "jar": kitchen.jar, "pan": kitchen.pan, "spoon": kitchen.spoon, "fork": kitchen.fork,
    "toaster": kitchen.toaster, "basket": kitchen.basket,
    "apple": food_things.apple, "banana": food_things.banana, "orange": food_things.orange, "lemon": food_things.lemon,
    "pear": food_things.pear, "tomato": food_things.tomato, "egg": food_things.egg, "doughnut": food_things.doughnut,
    "cupcake": food_things.cupcake, "pizza": food_things.pizza, "mushroom": food_things.mushroom,
    "duck": toy_things.duck, "ball": toy_things.ball, "die": toy_things.die, "block": toy_things.block,
    "car": toy_things.toy_car, "robot": toy_things.robot, "snowman": toy_things.snowman,
    "lamp": house_things.lamp, "clock": house_things.clock, "plant": house_things.plant, "cactus": house_things.cactus,
    "vase": house_things.vase, "candle": house_things.candle, "hat": house_things.hat,
    "umbrella": house_things.umbrella, "hammer": house_things.hammer, "camera": house_things.camera,
    "laptop": house_things.laptop, "phone": house_things.phone, "cone": house_things.cone,
    "book": printed_things.book, "box": printed_things.printed_box, "carton": printed_things.carton,
    "tin": printed_things.tin, "frame": printed_things.frame,
}  # fmt: skip
"""Kind -> what builds one of it."""

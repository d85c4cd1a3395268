"""Common words to learn the sounds of a language from: what a network that tells words apart hears.

Two to four syllables, as wake words are. Words that are tested are not among them, nor any that
sounds like one of those; :data:`TESTED` names them and a test holds the list to that.
"""

from __future__ import annotations

import zlib

from export.data.casting import cast
from export.data.speech import Utterance

TESTED = ("computer", "alexa", "activate")
"""Words that recordings are kept for: never learnt from here, nor by default by a trunk."""

CHECK_EVERY = 6
"""Of the words, about every sixth is kept from training, to choose by."""

_LIST = """
address afternoon agency airport almond amazing ambulance amethyst angel animal
anything apartment apology apple april artist asteroid athlete august autumn avenue avocado
baby balcony balloon banana barbecue basement basket battery beautiful begin belong beyond
bicycle birthday biscuit blanket blueberry bluebird borrow bottle boulevard breakfast broccoli
brother budget buffalo building butterfly button cabinet calendar camera canary candle captain
caravan castle caterpillar ceiling celebrate champion channel cherry chicken chimney
chocolate cinema cinnamon citizen classical clever climate cloudy coconut coffee colour comedy
concert cookie copper corridor cottage cousin coyote crocodile curtain custard daffodil dancer
daughter december decide defender delicious democracy desert diamond dinner dinosaur discover
doctor dolphin domino donkey dragon dungeon eagle early easy echo eighteen electric elephant
eleven emerald engine enormous envelope evening everyone exercise falcon family favourite
february festival finger firefly flamingo flower follow football forever forget fountain friday
furniture future garage garden gasoline gentleman geography giraffe goodbye gorilla
grandmother gravity guitar hamburger hammer happiness harbour harmony hazelnut hello hero
highway history holiday honeybee horizon hospital hotel however hundred hurricane iceberg
imagine important indigo infinity invisible island january jasmine jelly jewel journey jumbo
jupiter kangaroo ketchup kitchen kiwi ladder lavender lawyer lemonade leopard letter
library lightning lily limousine lion listen little lobster lucky machine magazine magic magnet
mahogany mango maple marathon market marmalade maybe medicine melody memory mercury midnight
million mineral minute mirror monday monkey morning mosquito mountain movie muffin mushroom
music napkin narrow nature never newspaper nobody november number ocean october okay
olive onion opera orange orchestra origami oxygen oyster painter pancake panda paper parachute
paradise parrot passenger peanut pelican pencil penguin pepper phoenix photograph piano picnic
pillow pineapple pirate planet plastic pocket police pony porcupine porter potato present
president professor pumpkin puppy purple pyramid question quickly rabbit radio railway rainbow
raspberry ready remember restaurant ribbon river robin robot rocket romantic rosemary rubber
ruby safari sailor salmon sandwich sapphire saturday saxophone scissors season september
seventeen shadow shampoo shelter shepherd shoulder silver simple sister skeleton snowflake
soldier somebody spider spirit squirrel station strawberry sugar summer sunflower sunshine
surprise swallow sweater table tango taxi teacher telephone temple tennis theatre thirteen
thunder tiger tobacco tomato tomorrow tornado tortoise tower traffic treasure triangle trumpet
tuesday tulip tunnel turkey turtle twenty umbrella uncle unicorn universe vacation valley
vanilla vegetable velvet village violet violin visitor volcano vulture wagon walnut warrior
water waterfall weather wedding welcome whisper willow window winter wizard wonderful yellow
yesterday zebra zero zucchini
"""
WORDS = tuple(_LIST.split())


def learnt() -> list[str]:
    """The words to train on."""
    return [word for word in WORDS if not _kept(word)]


def kept() -> list[str]:
    """The words to choose by, never trained on."""
    return [word for word in WORDS if _kept(word)]


def said(word: str, neural: int, seed: int) -> list[Utterance]:
    """Who says a word: neural voices, and as many formant voices, a third as many unit voices."""
    return (
        cast(word, "kokoro", neural, seed)
        + cast(word, "espeak", neural, seed)
        + cast(word, "flite", max(1, neural // 3), seed)
    )


def _kept(word: str) -> bool:
    return zlib.crc32(word.encode()) % CHECK_EVERY == 0

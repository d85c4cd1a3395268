"""Common words to learn the sounds of a language from: what a network that tells words apart hears.

Two to four syllables, as wake words are. Words that are tested are not among them, nor any that
sounds like one of those; :data:`TESTED` names them and a test holds the list to that.
"""

from __future__ import annotations

import zlib

from export.data.casting import cast
from export.data.speech import Utterance

TESTED = ("computer", "alexa", "activate")
"""Words that recordings are kept for: never learnt from."""

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
_FURTHER = """
abandon absolute academy accent accident accordion acrobat adventure advice aeroplane agreement
album alley alligator almanac alphabet amber ambition amount anchor ancient ankle answer antelope
antique apron aquarium arrow article asparagus atlas attention attic aubergine audience autograph
avalanche badger bagel baker bamboo bandage banjo banner bargain barrel basil bathroom battle beaver
bedroom beehive beetle belfry benefit beret billboard billion binder bishop bitter blossom bonfire
border bouquet bracelet bravery bridle broken bubble bucket buckle bulletin burger burrow butcher
butler cabbage cactus camel campfire canal canoe canyon capital caramel cardigan careful cargo
carnival carpenter carpet carriage carrot cartoon cashew cathedral cauldron cavern cedar celery
cello cement central cereal chamber chapter charcoal chariot chestnut chipmunk chisel circle circus
clarinet clover cobra collar column comfort company compass contest cottonwood country courage
crayon cricket crimson crystal cuckoo cucumber culture cushion cyclone cylinder cymbal dangerous
darkness decimal degree dentist deputy detective diary difference digital dignity diploma discount
disguise distance district document donation doorway doughnut dragonfly driver drummer dusty eclipse
edition education elbow elegant elevator embassy empire energy equator eraser escalator estimate
eternal evidence examine example expensive explorer fabric factory fairy familiar fashion feather
fender fiction fiddle fireplace fisherman flannel flavour flipper fortune foxglove fragile freedom
freezer frozen funnel gallery gallop garlic garment gazelle gelatin general generous genius gentle
geranium gherkin giant ginger glacier glasses glitter glory goggles gondola gopher governor graduate
granite grapefruit graphite gravel greenhouse grocery guardian guava guinea gymnast habit hairbrush
halibut hallway hamster handkerchief handle hardware harmonica harvest hatchet hedgehog helicopter
helmet herring hiccup hollow honest honey horseshoe humble hydrogen igloo iguana improve industry
infant ingredient innocent insect instrument iron ivory jacket jaguar javelin jealous jigsaw jockey
juggle juniper justice kennel kernel kettle kidney kindness kingdom knuckle laboratory lagoon
landscape language lantern laptop laughter laundry lawnmower leather legend lemon lettuce liberty
linen lizard llama lotion luggage lullaby lumber lunar magpie majesty mammal manager mandolin manner
mantelpiece marble margarine marigold mascot mattress meadow measure mechanic member menu merchant
message metal method microphone mighty millennium minister minnow mission mistletoe mitten moccasin
modern molecule moment monument mosaic mustard mystery mythical native navigate necklace needle
neighbour nephew nickel nightingale notebook nursery nutmeg oatmeal obstacle octopus office officer
opinion opposite orbit orchid organ original ornament ostrich otter oven paddle padlock palace
pamphlet panther papaya parade parsley particle partner pasture patient pattern pavement peacock
pebble pedal peninsula perfect perfume pheasant pigeon pilgrim pillar pistachio pitcher platform
pleasure plumber poem poetry polar popcorn poppy portrait possible postman pottery poultry powder
powerful practice prairie primary prison product project promise proverb puddle puffin pulley puppet
puzzle quality quarter quiver raccoon racket radish raisin ranger rapid raven razor reason recipe
record regular reindeer religion reptile reservoir rhubarb rhythm riddle ritual roller rooster
rosebud royal saddle saffron salad salute sandal satellite saucepan sausage scarlet scholar science
scorpion scramble sculpture seagull seaweed secret sequin serenade serious servant seventy shallow
sheriff shovel shutter signal silence singer skateboard slipper sloppy soprano spaghetti sparrow
spinach splendid stadium stallion starfish statue steady sticker storage stubborn student submarine
subway suitcase sulphur syrup system tadpole talent tambourine tangerine target tarragon tavern
tempest terrace theory thistle thousand thursday timber tissue toaster together topaz tractor
tradition trampoline trapeze travel treacle tremble tribune trombone tropical truffle tugboat tunic
turnip turquoise tuxedo twilight ugly ukulele upstairs utensil velcro venison verdict vessel viking
vinegar vintage virtue vitamin voyage waffle waitress walrus wardrobe wednesday weekend whiskers
wholesale wicked wildlife witness wombat woodpecker worthy wrinkle yogurt yonder
"""
WORDS = tuple(_LIST.split())
FURTHER = tuple(_FURTHER.split())
"""Words to train on alone: the more words, the better are others told apart."""


def learnt() -> list[str]:
    """The words to train on."""
    return [*(word for word in WORDS if not _kept(word)), *FURTHER]


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

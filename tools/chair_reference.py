"""Golden numbers of CHAIR: what the authors' chair.py says about 320 captions.

Proves: percept's word rules, ground truth and CHAIR_i, CHAIR_s are those of the official script, on captions with
plurals, irregular forms, compounds, double words, punctuation, contractions and every class of the vocabulary.

Runs utils/chair.py of a checkout of LisaAnne/Hallucination (BSD-2-Clause; Python 2: its print statements are
rewritten in memory) on COCO-shaped annotations that this script invents, with
  pattern.en.singularize   PatternLite 3.6 (pattern/text/en/inflect.py, the same text as in clips/pattern)
  nltk.word_tokenize       NLTK 3.10.4 with the Punkt model punkt_tab/english in NLTK_DATA
Also: what word_tokenize and singularize say about texts and words that captions rarely hold.

Run: NLTK_DATA=DIR python tools/chair_reference.py --official CHECKOUT [--out crates/benchmarks/tests/golden/chair.json]
Output: {"made_with", "images": [{"instances", "references", "caption", "objects", "words", "nodes",
"hallucinated"}], "chair_i", "chair_s", "tokens": [[text, tokens]], "singular": [[word, singular]]}.
"""

import argparse
import contextlib
import importlib.util
import io
import json
import os
import random
import re
import tempfile
from importlib.metadata import version
from pathlib import Path

import nltk

HANDWRITTEN = [
    "A man is riding a motor bike down the street.",
    "Two men on motor cycles wait at the stop light.",
    "An air plane flies over a traffic light; the airplanes behind it are parked.",
    "A fire hydrant next to a stop sign and a parking meter.",
    "Fire hydrants, stop signs and parking meters line the road.",
    "The street lights and traffic signals are off.",
    "A woman eats a hot dog while her dog watches.",
    "Hot dogs on buns, with mustard.",
    "A child hugs a teddy bear; two teddy bears sit on the bed.",
    "A baby bear and an adult bear cross the river.",
    "Baby elephants follow an adult elephant.",
    "A baby is sitting in a high chair with a baby bottle.",
    "The passenger jet lands while a passenger train leaves.",
    "Passengers board the passenger plane.",
    "He wears a bow tie and a suit; another man wears two bow ties.",
    "Three ties hang on the wall.",
    "The toilet seat is up.",
    "The seat of the toilet is white, a chair stands beside it.",
    "A seat, a stool, and a chair.",
    "Toilet seats are for sale; the seats are cheap.",
    "A laptop computer next to two laptop computers on the desk.",
    "A tennis racket and a tennis ball; the tennis rackets are red.",
    "A baseball bat, baseball gloves, and a sports ball.",
    "Wine glasses and a wine glass on the dining table.",
    "The hair drier is next to the hairdryer.",
    "A potted plant and several potted plants near the window.",
    "Cell phones, mobile phones, smartphones and an iPhone.",
    "A stove top oven sits by the microwave oven.",
    "The player slides into home plate.",
    "The train tracks run beside the train track.",
    "A bus. Two buses. The bus's door is open.",
    "The buses' windows are broken.",
    "Sheep, geese, mice, oxen, calves, wolves and ponies.",
    "Children and people; persons and a person.",
    "Women, men, ladies, policemen, firemen, servicemen and cowboys.",
    "Knives, forks, spoons, and a knife.",
    "Skis lean on the wall. A ski. Snowboards too.",
    "The scissors are beside a pair of scissors.",
    "There isn't any cat; I can't see a dog, and no bird's here.",
    "It doesn't show a car, nor 3 trucks.",
    "Couches, sofas, benches, toothbrushes and sandwiches.",
    "Broccoli, carrots, apples, bananas, oranges, donuts & pizzas.",
    "A panda (a bear) eats; pandas sleep.",
    "\"A dog,\" he said, \"is chasing a cat.\"",
    "A t.v. is on. TVs are on. The TV's remote is lost.",
    "e.g. a car, i.e. a sedan, etc. and a van.",
    "Mr. Smith drives a car. Dr. Jones rides a bike.",
    "There are 2. The first is a dog.",
    "It has 3.5 apples, 1,000 oranges and 12:30 on the clock.",
    "A cat... a dog... and a horse!!! Really?! Yes.",
    "A red-and-white boat, a man-of-war, and mothers-in-law.",
    "Dog/cat. Cat;dog: horse,cow",
    "The cow-boy hat -- a cowboy's -- is brown.",
    "A person's umbrella, the people's umbrellas, James's kite.",
    "You cannot see the sink, gonna use the refrigerator.",
    "",
    "nothing that is listed",
    "   Leading blanks, a clock .   ",
    "First line with a vase\nSecond line with a book.\n\nThird: two books.",
    "* a bullet with a chair\n* a bullet with a table\n- a fork",
    "1. A bowl.\n2. A cup.\n3. A spoon.",
    "“Curly quotes” around a ‘keyboard’ and the dog’s mouse.",
    "A clock—an old one—and a vase–a new one.",
    "The cake is on [the table] {beside the couch} <near> (the oven).",
    "cakes, cheesecakes, cupcakes, pancakes, doughnuts and bagels",
    "A goose, a duck, a flamingo, the ostriches and an osprey.",
    "Luggage, suitcases, a suit case, backpacks, purses and handbags.",
    "Frisbees, kites, skateboards, surfboards and longboards.",
    "A doggie, doggies, kitties, kittens, puppies, collies, huskies.",
    "Taxis, taxicabs, SUVs, limos, buses, minibuses, jeeps.",
    "Ferries, yachts, canoes, vessels, dinghies.",
    "A giraffes' enclosure; zebras' stripes.",
    "The glass is full; glasses, bowls and vases are empty.",
    "Desks, tables, dining tables and a coffee table.",
    "He holds a remote control and a game controller.",
    "Some teeth, feet, leaves, loaves, shelves, axes, moves.",
    "A television, televisions, a monitor, monitors and computers.",
    "Toasters and ovens and stoves and sinks and refrigerators and fridges.",
    "Traffic\nlights at night.",
    "hot  dog   with two   blanks",
    "A BUS, A TRAIN AND A STOP SIGN IN CAPITALS.",
    "Stop signs. stop. Signs.",
    "The stop-sign and the hot-dog stand.",
    "A sub, subs, burgers, hamburgers, cheeseburgers.",
    "A child's toy; children's toys; the kid, kids, boys and girls.",
    "Toilets and urinals; the toilet is beside the sink.",
    "A bear, a baby animal, adult animals and a cub.",
    "The adult dog and the adult.",
    "Two dogs, a dog and another dog near dogs.",
    "The parking lot meter and the wine bottle glass.",
]

TOKENS = [
    "Good muffins cost $3.88 (roughly 3,36 euros) in New York. Please buy me two of them. Thanks.",
    "he said: \"no.\" then left.", "(a dog.) a cat.", "a dog.) a cat.", "wait... what? no!", "a.b.c. is it", "the u.s. is big",
    "at 5 p.m. the bus left", "it is no. 5 of 6.", "the end .", "''quoted'' text", "`backticks` and ``two``", "can't won't don't isn't i'm you're they've she'll he'd",
    "'tis the season, 'twas late, d'ye know", "gimme gonna gotta lemme wanna more'n cannot", "rock 'n' roll", "the dogs' bowls'", "a;b@c#d$e%f&g*h",
    "x -- y---z", "10:30 and a:b and a, b,c 1,000", "end,", "end:", "!?", ".", "...", "a.", "a..", "hello.world", "hello.\"world\"", "u.s.a. today? yes.",
    "m. smith met j. p. morgan.", "vol. 2. the end", "etc. and so on.", "a dog, etc.", "one.two. three.", "is it?yes!no", "he's 'quoted' here", "“a dog.” a cat.",
    "a dog.' a cat.", "#1 choice 100% of $5 @home", "a. the cat sat. b. the dog ran.", "approx. two dogs vs. three cats.", "st. louis has buses.", "\"", "\"a\" \"b\"", "<b>bold</b>",
    "‘single’ and «double»", "figure‒dash and en–dash and em—dash", "it's the cat's.", "email me at a.b@c.org.", "see fig. 3.", "nos. 3 and 4", "a dog.\na cat.", "a dog!\n\na cat?", "yes. \" no.",
]

SINGULAR = (
    "bus buses glass glasses wolves wolf knives lives leaves loaves halves calves shelves scarves elves hooves axes oxen ox mice lice dice men women "
    "children people feet geese teeth octopi viri quizzes matrices vertices indices aliases statuses crises testes shoes heroes potatoes tomatoes "
    "boxes churches dishes movies zombies series species flies monkeys ties pies cookies doggies collies hoagies selfies curves nerves gloves stoves "
    "waves slaves olives dives hives archives wives detectives beliefs roofs analyses bases theses diagnoses parentheses synopses noses roses poses "
    "hoses doses glucose osmoses data media pizza panda pasta tortilla umbrella news trousers scissors pliers pants tuna salmon luggage fruit water "
    "four hour your our opera camera men's dogs' s ss a is was has this his its gas grass dress tennis chess christmas swiss georgia skis ski suv tv "
    "bureaux gateaux larvae algae neuritis mongooses monies soliloquies mothers-in-law passers-by man-of-war t-shirts ice-creams sister-in-law specimen "
    "omen semen abdomen linemen humans germans cactus buses' x's 1990s ' - . , lens lenses horse horses vase vases cheese cheeses rice bread sand love "
    "toes canoes vetoes radii fungi spaghetti ski-lifts serve serves swerves dwarves wharves thieves chefs reefs giraffes sheaves beehives motives "
    "expenses responses houses mouse mouses louse blouse sexes suffixes fixes taxes axes atlas atlases kine brethren numena zoa ganglia"
).split()


def official(checkout):
    """utils/chair.py as a namespace."""
    inflect = importlib.util.find_spec("pattern").submodule_search_locations[0] + "/text/en/inflect.py"
    text = Path(inflect).read_text()
    # The file's other parts need the rest of the package and its dependencies.
    prepositions = text[text.index("plural_prepositions = ") : text.index("))\n", text.index("plural_prepositions = ")) + 3]
    start, end = text.index("#### SINGULARIZE"), text.index("#### VERB CONJUGATION")
    names = {"re": re, "NOUN": "NN"}
    exec(prepositions + text[start:end], names)
    source = (Path(checkout) / "utils/chair.py").read_text()
    source = re.sub(r"^(\s*)print (.+)$", r"\1print(\2)", source, flags=re.M)
    source = re.sub(r"^(from pattern|from misc|lemma =).*$", "", source, flags=re.M)
    space = {"singularize": names["singularize"], "os": os, "__name__": "chair"}
    exec(compile(source, "chair.py", "exec"), space)
    return space


def plural(word):
    irregular = {"person": "people", "child": "children", "man": "men", "woman": "women", "mouse": "mice", "sheep": "sheep", "goose": "geese", "knife": "knives", "ox": "oxen", "calf": "calves", "skis": "skis", "scissors": "scissors", "lady": "ladies", "thief": "thieves"}
    if word in irregular:
        return irregular[word]
    if re.search(r"(s|x|ch|sh)$", word):
        return word + "es"
    if re.search(r"[^aeiou]y$", word):
        return word[:-1] + "ies"
    return word + "s"


def invented(draw, classes):
    """A caption about 2 to 6 words of the vocabulary."""
    flat = [word.strip() for line in classes for word in line if word.strip()]
    count = draw.choice(["two", "three", "several", "many", "a few", "12"])
    some = lambda: draw.choice([f"a {draw.choice(flat)}", f"{count} {plural(draw.choice(flat))}", f"the {draw.choice(['red', 'old', 'wooden', 'baby', 'adult', 'passenger', 'small'])} {draw.choice(flat)}"])
    template = draw.choice([
        "{0} next to {1}.", "The image shows {0}, {1} and {2}.", "In the background there are {0}. In front, {1} can be seen; {2} is missing.",
        "{0} is on top of {1}, while {2} stands near {3}. There is no {4}.", "A photo of {0} ({1}), {2}'s shadow, and {3}!",
        "There isn't {0} here, but {1}. Is that {2}? Yes: {3}.", "{0}\n{1}\n{2}", "On the left, {0}. On the right, {1}. Overall, the scene is calm.",
    ])
    return template.format(*[some() for _ in range(5)])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--official", required=True, help="checkout of LisaAnne/Hallucination")
    parser.add_argument("--out", default="crates/benchmarks/tests/golden/chair.json")
    args = parser.parse_args()
    chair = official(args.official)
    lines = [line.strip().split(", ") for line in (Path(args.official) / "data/synonyms.txt").read_text().splitlines()]
    names = [line[0] for line in lines]
    draw = random.Random(7)
    # Every class as a singular and as a plural, then invented texts.
    captions = HANDWRITTEN + [f"A photo of a {name} and two {plural(draw.choice(line).strip())}." for name, line in zip(names, lines)]
    captions += [invented(draw, lines) for _ in range(330 - len(captions))]
    images = []
    for caption in captions:
        mentioned = [line[0] for line in lines if any(re.search(rf"\b{re.escape(word.strip())}", caption.lower()) for word in line)]
        instances = [name for name in mentioned if draw.random() < 0.5] + draw.sample(names, draw.randrange(3))
        references = [f"A picture with a {draw.choice(draw.choice(lines)).strip()} and two {plural(draw.choice(draw.choice(lines)).strip())}." for _ in range(draw.randrange(3))]
        images.append({"instances": sorted(set(instances)), "references": references, "caption": caption})

    with tempfile.TemporaryDirectory() as folder:
        write = lambda name, data: Path(folder, name).write_text(json.dumps(data))
        for split in ["train", "val"]:
            mine = [i for i in range(len(images)) if (i % 2 == 0) == (split == "val")]
            head = {"info": {}, "licenses": [], "images": [{"id": i} for i in mine]}
            write(f"instances_{split}2014.json", head | {
                "categories": [{"id": i + 1, "name": name} for i, name in enumerate(names)],
                "annotations": [{"image_id": i, "category_id": names.index(name) + 1} for i in mine for name in images[i]["instances"]],
            })
            write(f"captions_{split}2014.json", head | {"annotations": [{"image_id": i, "caption": text} for i in mine for text in images[i]["references"]]})
        scores = {name: 0.0 for name in ["Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "METEOR", "CIDEr", "SPICE", "ROUGE_L"]}
        write("captions.json", {"overall": scores, "imgToEval": {str(i): scores | {"image_id": i, "caption": image["caption"]} for i, image in enumerate(images)}})
        here = os.getcwd()
        os.chdir(args.official)  # it reads data/synonyms.txt
        with contextlib.redirect_stdout(io.StringIO()):
            evaluator = chair["CHAIR"](set(range(len(images))), folder)
            evaluator.get_annotations()
            found = evaluator.compute_chair(os.path.join(folder, "captions.json"))
        os.chdir(here)
    for image, sentence in zip(images, found["sentences"]):
        words, nodes, _, _ = evaluator.caption_to_words(image["caption"])
        assert nodes == sentence["mscoco_generated_words"]
        image |= {"objects": sorted(sentence["mscoco_gt_words"]), "words": words, "nodes": nodes,
                  "hallucinated": sentence["mscoco_hallucinated_words"]}
    golden = {
        "made_with": f"tools/chair_reference.py: LisaAnne/Hallucination utils/chair.py, PatternLite {version('PatternLite')}, NLTK {nltk.__version__}",
        "chair_i": found["overall_metrics"]["CHAIRi"],
        "chair_s": found["overall_metrics"]["CHAIRs"],
        "tokens": [[text, nltk.word_tokenize(text)] for text in (t.lower() for t in TOKENS)],
        "singular": [[word, chair["singularize"](word)] for word in dict.fromkeys(SINGULAR)],
        "images": images,
    }
    lines = [f' "{key}": {json.dumps(value, ensure_ascii=False)}' for key, value in golden.items() if not isinstance(value, list)]
    lines += [f' "{key}": [\n  ' + ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in value) + "\n ]" for key, value in golden.items() if isinstance(value, list)]
    Path(args.out).write_text("{\n" + ",\n".join(lines) + "\n}\n")
    mentions = sum(len(image["words"]) for image in images)
    print(f"{len(images)} captions, {mentions} mentions, CHAIR_i {golden['chair_i']:.4f}, CHAIR_s {golden['chair_s']:.4f} -> {args.out}")


if __name__ == "__main__":
    main()

"""Phrases about restaurants."""

from __future__ import annotations

from .schema import Aspect, Topic

TOPIC = Topic(
    label="restaurant",
    kind="place",
    entities="restaurant; bistro; diner; tavern; brasserie; eatery",
    makers="",
    preposition="at",
    leads="*eat {at}; *book a table {at}; *order lunch {at}; *celebrate a birthday {at}; *meet friends {at};"
    "*choose {E} for dinner; *share a long supper {at}; *try the house special {at}",
    outcomes="so {I} *leave before dessert / so {I} *stay for dessert;"
    "so {I} *ask for a refund / so {I} *leave a tip;"
    "so {I} *eat somewhere else / so {I} *bring {my} friends; so {I} *send a complaint / so {I} *thank the owner;"
    "so {I} *cancel the party / so {I} *book another table",
    references="at the place next door; on {my} first visit; under the old owner; last year; last time",
    past="last night; at lunch on Friday; over the holidays; on {my} last visit; during the lunch rush;"
    "at {my} anniversary dinner",
    present="at lunchtime; on weekdays; on busy evenings; at weekends; during the dinner rush; in the summer season",
    future="on {my} next visit; at the next family dinner; over the coming holidays; tomorrow evening;"
    "at next Sunday's lunch; once the terrace opens",
    aspects=(
        Aspect(
            determiners="the|{my}",
            plain="waiter; waitress; young server; +waiters",
            technical="sommelier; sous chef; barista; pastry chef",
            expert="sommelier pouring the oxidative flight; sous chef on the plancha and salamander;"
            "barista dialling in an 18 g ristretto; chef de rang on gueridon service",
            adjectives="rude / friendly; careless / attentive; grumpy / cheerful; impatient / patient;"
            "unhelpful / helpful",
            verbs="*ignore {me} / *greet {me} warmly; *forget {my} order / *remember {my} order;"
            "*mix up the dishes / *explain every dish; *argue with guests / *joke with guests;"
            "*sigh at every question / *welcome every question; *rush {me} out / *make {me} feel at home",
            comparatives="slower / quicker; ruder / kinder; less polite / more polite",
            neutral="*dress in black; *start at noon; *work near the bar; *take orders at the table;"
            "*live in the neighbourhood; *come from the coast",
        ),
        Aspect(
            determiners="the",
            plain="soup; onion soup; fish soup; pumpkin soup",
            technical="bisque; ramen broth; veloute; consomme",
            expert="double-clarified consomme; collagen-rich tonkotsu broth; bisque mounted with cold beurre manie;"
            "dashi drawn from aged kombu",
            adjectives="cold / hot; bland / tasty; watery / creamy; salty / delicate; greasy / fragrant",
            verbs="*taste of nothing / *taste of fresh herbs; *arrive cold / *arrive piping hot;"
            "*smell stale / *smell wonderful; *leave a bitter taste / *warm {me} to the core;"
            "*come from a tin / *come straight from the pot",
            comparatives="thinner / richer; blander / tastier",
            neutral="*come with bread; *change with the season; *come in a small bowl; *open the set menu;"
            "*contain leeks and potatoes",
        ),
        Aspect(
            determiners="the|{my}",
            plain="steak; roast lamb; grilled chicken; beef stew; burger",
            technical="ribeye; confit duck; braised brisket; 200 g sirloin",
            expert="sous-vide short rib held at 57 degrees; dry-aged ribeye with a full Maillard crust;"
            "confit leg with a reduced demi-glace; brisket smoked at 110 degrees over post oak",
            adjectives="dry / juicy; tough / tender; burnt / succulent; chewy / soft; tasteless / delicious",
            verbs="*disappoint everyone / *delight everyone; *taste like cardboard / *taste like home cooking;"
            "*arrive overcooked / *arrive perfectly cooked; *look sad on the plate / *look lovely on the plate;"
            "*sit heavily in the stomach / *melt in the mouth",
            comparatives="tougher / more tender; drier / juicier",
            neutral="*come with potatoes; *come from a nearby farm; *appear on the lunch menu; *serve one person;"
            "*come in two sizes",
        ),
        Aspect(
            determiners="the",
            plain="dessert; apple pie; chocolate cake; cheesecake; ice cream",
            technical="creme brulee; panna cotta; frangipane tart; sabayon",
            expert="entremet with a tempered couverture glaze; parfait set with 200-bloom gelatine;"
            "laminated mille-feuille with pastry cream; sorbet balanced at 28 degrees Brix",
            adjectives="stale / fresh; soggy / light; sickly / heavenly; dull / exciting; dry / moist",
            verbs="*ruin the meal / *crown the meal; *fall apart on the plate / *look like a work of art;"
            "*taste of sugar and little else / *taste of ripe fruit; *leave {me} cold / *make {me} smile;"
            "*go back half eaten / *vanish in seconds",
            comparatives="sweeter and duller / lighter and fresher; staler / fresher",
            neutral="*come with cream; *follow the cheese course; *come on a white plate; *stand on the counter;"
            "*feature on the evening menu",
        ),
        Aspect(
            determiners="the",
            plain="house wine; red wine; white wine; cider",
            technical="riesling; 2015 rioja; pinot noir; dry vermouth",
            expert="skin-contact riesling with low sulphites; barrel-fermented chardonnay on its lees;"
            "pet-nat with undisgorged sediment; carbonic-maceration gamay",
            adjectives="sour / smooth; flat / lively; overpriced / affordable; harsh / mellow; thin / full",
            verbs="*taste like vinegar / *taste of cherries; *spoil the food / *match the food;"
            "*give {me} a headache / *put {me} in a good mood;"
            "*leave a nasty aftertaste / *leave a lovely aftertaste;"
            "*come in a dirty glass / *come in a sparkling glass",
            comparatives="rougher / smoother; poorer / finer",
            neutral="*come by the glass; *come from the south; *stay in the cellar #; *appear on the back page;"
            "*go with the fish course",
        ),
        Aspect(
            determiners="the",
            plain="dining room; terrace; back room; garden",
            technical="mezzanine; glazed conservatory; banquette seating area; 40-cover dining room",
            expert="dining room with 0.4-second reverberation panels; atrium on a displacement ventilation loop;"
            "conservatory with low-emissivity glazing; 60-cover room zoned for 300 lux",
            adjectives="noisy / quiet; cramped / spacious; gloomy / bright; dirty / spotless; stuffy / airy",
            verbs="*smell of old oil / *smell of fresh flowers; *feel cold and bare / *feel warm and cosy;"
            "*look shabby / *look stunning; *make talking hard / *make talking easy;"
            "*put {me} off {my} food / *put {me} at ease",
            comparatives="louder / calmer; darker / brighter",
            neutral="*face the street; *seat thirty people; *lie behind the bar; *overlook the square;"
            "*have a wooden floor",
        ),
        Aspect(
            determiners="the",
            plain="menu; lunch menu; children's menu; set menu",
            technical="tasting menu; prix fixe; degustation menu; a la carte list",
            expert="seven-course degustation with paired ferments; omakase sequence built on aged nigiri;"
            "prix fixe with a supplement for truffle; menu coded for fourteen allergens",
            adjectives="boring / exciting; confusing / clear; limited / varied; pricey / reasonable;"
            "outdated / inventive",
            verbs="*offer little choice / *offer plenty of choice; *hide the real prices / *show honest prices;"
            "*bore {my} children / *tempt {my} children; *leave vegetarians hungry / *please vegetarians;"
            "never *surprise {me} # / always *surprise {me} #",
            comparatives="duller / more varied; dearer / cheaper",
            neutral="*list four soups; *change on Mondays #; *hang by the door; *run to three pages;"
            "*include a fish course",
        ),
        Aspect(
            determiners="the",
            plain="bread; garlic bread; side salad; basket of rolls",
            technical="sourdough; focaccia; brioche; rye loaf",
            expert="72-hour cold-fermented sourdough; focaccia at 80 percent hydration;"
            "rye with a stiff levain; brioche from an autolysed dough",
            adjectives="stale / fresh; soggy / crisp; hard / soft; bland / flavourful; tired / appetising",
            verbs="*arrive late / *arrive quickly; *taste of old fat / *taste of good butter;"
            "*crumble into dust / *vanish from the table; *look a week old / *look freshly made;"
            "*cost far too much / *cost almost nothing",
            comparatives="harder / softer; worse / better",
            neutral="*come with the soup; *come with olive oil; *come before the main course; *cost extra;"
            "*arrive in a basket",
        ),
    ),
)

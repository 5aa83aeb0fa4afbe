"""Phrases about shoes."""

from __future__ import annotations

from .schema import Aspect, Topic

TOPIC = Topic(
    label="shoes",
    kind="product",
    entities="+shoes; +trainers; +boots; pair; +sneakers",
    makers="brand; maker; label; shoemaker",
    preposition="on",
    leads="*buy {E} #; *wear {E} to work; *run a marathon in {E} #; *walk the dog in {E}; *order {E} online #;"
    "*pack {E} for a hike; *try on {E} #; *take {E} on a walking holiday",
    outcomes="so {I} *throw the pair away / so {I} *wear the pair daily;"
    "so {I} *walk home barefoot / so {I} *walk home happily;"
    "so {I} *ask for {my} money back / so {I} *order a second pair;"
    "so {I} *choose another brand / so {I} *stay with the brand;"
    "so {I} *get blisters / so {I} *forget about blisters",
    references="on {my} old pair; on cheaper pairs; on last year's model; on most rivals; on {my} other pair",
    past="on the first walk; in the rain; during the race; at the wedding; on the hike; after a week",
    present="in wet weather; on long walks; in the rain; on rough paths; in summer; on the way to work",
    future="on the next hike; in the coming winter; at the next race; on rainy days to come; over the coming season;"
    "on {my} next walk",
    aspects=(
        Aspect(
            determiners="the",
            plain="+soles; sole; outer sole; tread",
            technical="rubber outsole; lugged sole; gum-rubber sole; 4 mm tread",
            expert="outsole with 5 mm chevron lugs; carbon-plated sole unit; storm-welted leather outsole;"
            "dual-density outsole with a flex groove",
            adjectives="slippery / grippy; thin / thick; stiff / flexible; hard / springy; fragile / tough",
            verbs="*slide on wet stone / *grip wet stone; *wear down in weeks / *last for seasons #;"
            "*split at the toe / *stay in one piece;"
            "*squeak on tiles / *stay quiet on tiles; *let every pebble through / *protect {my} feet",
            comparatives="thinner / thicker; stiffer / springier",
            neutral="*come in white; *have a wave pattern; *curve up at the toe; *run the full length;*show the size",
        ),
        Aspect(
            determiners="the",
            plain="leather; upper; fabric; outside",
            technical="suede upper; mesh upper; full-grain leather; nylon upper",
            expert="engineered-knit upper with welded overlays; vegetable-tanned upper at 1.8 mm;"
            "ripstop nylon with a TPU rand;"
            "full-grain nubuck with a hydrophobic finish",
            adjectives="stiff / supple; cheap / luxurious; scratchy / soft; flimsy / hard-wearing; dull / glossy",
            verbs="*crack after one winter / *age beautifully; *soak up water / *keep water out;"
            "*rub {my} ankle / *cushion {my} ankle;"
            "*fade in the sun / *keep {its} colour; *smell of glue / *smell of new leather",
            comparatives="stiffer / softer; poorer / finer",
            neutral="*come in brown; *have small holes; *wrap around the heel; *come from a small factory;"
            "*have a single seam",
        ),
        Aspect(
            determiners="the",
            plain="+laces; zip; +straps; +lace holes",
            technical="speed-lacing system; +metal eyelets; +waxed laces; hook-and-loop strap",
            expert="+flat-waxed laces with brass aglets; dial closure on a steel cable;"
            "gusseted tongue with ghillie loops;"
            "derby lacing over a bellows tongue",
            adjectives="loose / secure; weak / strong; fiddly / easy; frayed / neat; clumsy / handy",
            verbs="*come undone constantly # / *stay done up; *snap at the worst moment / *hold at every moment;"
            "*slow {me} down at the door / *save {me} time at the door;"
            "*dig into {my} foot / *sit gently on {my} foot; *break on the first day / *survive hard use",
            comparatives="weaker / stronger; fiddlier / easier",
            neutral="*come in two colours; *match the stitching; *cross over the tongue; *end below the ankle;"
            "*come with a spare",
        ),
        Aspect(
            determiners="the",
            plain="+insoles; inner sole; lining; padding",
            technical="memory-foam insole; cork footbed; gel insole; arch support",
            expert="EVA footbed with a 10 mm drop; nitrogen-infused midsole at 38 Shore;"
            "contoured cork footbed with a metatarsal bar;"
            "PEBA midsole with a rocker geometry",
            adjectives="hard / soft; flat / springy; thin / thick; sweaty / breathable; lumpy / smooth",
            verbs="*hurt {my} arches / *support {my} arches; *collapse within a month / *keep a good shape;"
            "*give {me} blisters / *prevent blisters;"
            "*bunch up under {my} toes / *stay flat under {my} toes; *smell after one day / *stay fresh all week #",
            comparatives="harder / comfier; flatter / bouncier",
            neutral="*lift out for cleaning; *cover the whole foot; *come in grey; *have a printed label;*go in last",
        ),
        Aspect(
            determiners="the",
            plain="heel; heel cup; ankle collar; heel pad",
            technical="heel counter; stacked heel; 30 mm heel; padded collar",
            expert="heel counter in moulded TPU; stacked-leather heel with a brass pin;"
            "8 mm-offset heel with a crash pad;"
            "external heel clip with a lateral flare",
            adjectives="wobbly / stable; rough / smooth; high / comfortable; noisy / quiet; weak / solid",
            verbs="*rub {my} skin raw / *hug {my} foot; *snap off / *stay firm;"
            "*slip at each step / *hold at each step;"
            "*make {me} limp / *make {me} walk tall; *collapse inwards / *keep upright",
            comparatives="rougher / smoother; less stable / more stable",
            neutral="*have a small loop; *come in black; *rise a little; *carry the logo; *match the toe",
        ),
        Aspect(
            determiners="the",
            plain="fit; width; size; shape",
            technical="half sizing; wide last; 2E width; narrow last",
            expert="combination last with a 3E forefoot; anatomical last with zero drop; foot-scanned 2E fitting;"
            "semi-curved last with a roomy toe box",
            adjectives="wrong / right; awkward / comfortable; disappointing / perfect; odd / natural; uneven / even",
            verbs="*squeeze {my} toes / *free {my} toes; *make {my} feet ache / *make {my} feet happy;"
            "*ruin long walks / *suit long walks;"
            "*feel wrong from the start / *feel right from the start; *bother {me} on stairs / *help {me} on stairs",
            comparatives="tighter / roomier; worse / better",
            neutral="*follow the European chart; *vary a little between colours; *stay the same across the range;"
            "*match the label;"
            "*work with thick socks",
        ),
        Aspect(
            determiners="the",
            plain="colour; style; look; pattern",
            technical="colourway; monochrome palette; two-tone design; reflective trim",
            expert="hand-burnished patina; spectrally matched dye lot; brogue punching in a medallion pattern;"
            "retroreflective piping at 500 candela",
            adjectives="ugly / attractive; dull / eye-catching; dated / modern; faded / vibrant; tacky / tasteful",
            verbs="*look nothing like the picture / *look just like the picture;"
            "*clash with everything / *go with everything; *embarrass {my} son / *delight {my} son;"
            "*fade in the wash / *survive the wash; *draw odd looks / *draw compliments",
            comparatives="uglier / prettier; drabber / brighter",
            neutral="*come from an old poster; *run along the side; *change every season #; *combine blue and grey;"
            "*stop at the toe",
        ),
        Aspect(
            determiners="the",
            plain="stitching; glue; seam; finish",
            technical="double stitching; welt; bonded seam; storm welt",
            expert="channel-stitched welt at eight stitches per inch; Norwegian welt with a split reverse;"
            "hot-melt seam under a TPU film;"
            "lock-stitched welt in bonded polyester",
            adjectives="careless / careful; weak / strong; messy / neat; uneven / even; rough / perfect",
            verbs="*come apart within weeks / *hold for years #; *leave ugly marks / *leave no marks;"
            "*look rushed / *look handmade;"
            "*let in the rain / *keep out the rain; *give up on the first hike / *survive the roughest hike",
            comparatives="sloppier / neater; weaker / stronger",
            neutral="*run around the toe; *come in a darker shade; *join the upper to the sole; *follow the edge;"
            "*use one thread",
        ),
    ),
)

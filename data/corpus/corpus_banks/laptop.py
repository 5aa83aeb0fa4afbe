"""Phrases about laptops."""

from __future__ import annotations

from .schema import Aspect, Topic

TOPIC = Topic(
    label="laptop",
    kind="product",
    entities="laptop; notebook; computer; machine; ultrabook",
    makers="brand; maker; vendor; manufacturer",
    preposition="on",
    leads="*buy {E} for college #; *use {E} at the office; *write long reports {at}; *play games {at};"
    "*replace {my} desktop with {E} #;"
    "*take {E} to meetings; *edit videos {at}; *set up {E} at home #",
    outcomes="so {I} *send it back / so {I} *keep it; so {I} *miss {my} deadline / so {I} *finish early;"
    "so {I} *work on paper / so {I} *work anywhere; so {I} *call the helpline / so {I} *buy one for {my} office;"
    "so {I} *lose an hour / so {I} *gain an hour",
    references="on {my} old computer; on the office machine; on last year's model; on most rivals;on cheaper machines",
    past="during the first term; after the upgrade; at the office; on the train; during {my} exams; on the first day",
    present="at the office; on long trips; during video calls; on {my} desk; late at night; during busy weeks",
    future="in the next model; after the next upgrade; during the next term; once the new version arrives;"
    "on {my} next trip; when the guarantee ends",
    aspects=(
        Aspect(
            determiners="the",
            plain="keyboard; space bar; number pad; +keys",
            technical="backlit keyboard; chiclet keyboard; 84-key layout; membrane keyboard",
            expert="keyboard with 1.5 mm scissor switches; low-profile mechanical deck with N-key rollover;"
            "hot-swappable switch plate; keyboard over a magnesium backplate",
            adjectives="stiff / soft; noisy / quiet; cramped / roomy; mushy / crisp; awkward / comfortable",
            verbs="*stick after a week / *stay responsive; *tire {my} fingers / *suit {my} fingers;"
            "*slow {my} typing / *speed up {my} typing;"
            "*wobble under pressure / *feel solid; *collect crumbs / *wipe clean in seconds",
            comparatives="stiffer / softer; louder / quieter",
            neutral="*use the British layout; *sit above the touchpad; *have white letters; *come in dark grey;"
            "*light up at dusk",
        ),
        Aspect(
            determiners="the",
            plain="screen; display; large screen; lid screen",
            technical="IPS screen; 14-inch display; matte LCD; touchscreen",
            expert="mini-LED panel with 1,000 dimming zones; IPS panel covering 98 percent of DCI-P3;"
            "165 Hz display with adaptive sync; factory-calibrated panel with a Delta E below 2",
            adjectives="dim / bright; dull / vivid; blurry / sharp; wobbly / steady; reflective / glare-free",
            verbs="*flicker for no reason / *stay rock steady; *hurt {my} eyes / *spare {my} eyes;"
            "*wash out in daylight / *hold up in daylight;"
            "*show dead spots / *show every detail; *make photos look flat / *make photos come alive",
            comparatives="duller / brighter; grainier / sharper",
            neutral="*fold back to the desk; *take up most of the lid; *have a thin black border; *tilt a little;"
            "*go dark after five minutes #",
        ),
        Aspect(
            determiners="the",
            plain="memory; working memory; main chip; computer chip",
            technical="processor; eight-core processor; graphics card; 16 GB memory",
            expert="eight-core CPU with a 35 W envelope; discrete GPU on PCIe 4.0;"
            "soldered LPDDR5 memory at 6400 MT/s;"
            "octa-core die with 24 MB of L3 cache",
            adjectives="slow / fast; weak / powerful; outdated / modern; inadequate / capable;unreliable / dependable",
            verbs="*choke on big files / *handle big files with ease; *make games stutter / *make games fly;"
            "*slow everything down / *speed everything up; *struggle with video / *breeze through video;"
            "*lag behind rivals / *outrun rivals",
            comparatives="slower / faster; weaker / stronger",
            neutral="*sit under the keyboard; *come from last year's range; *run the usual office programs;"
            "*share the main board;"
            "*appear on the label",
        ),
        Aspect(
            determiners="the",
            plain="battery; battery life; spare battery; built-in battery",
            technical="56 Wh battery; lithium battery; four-cell battery; battery controller",
            expert="99 Wh pack with USB-PD charging; four-cell pack rated at 1,000 cycles;"
            "lithium-polymer pack with an 80 percent charge cap; battery on a smart BMS",
            adjectives="poor / excellent; weak / strong; disappointing / impressive; unpredictable / reliable;"
            "dreadful / superb",
            verbs="*die before lunch / *last all day #;"
            "*force {me} to carry a cable / *let {me} leave the cable at home;"
            "*fade after a few months / *hold up after many months;"
            "*let {me} down on the train / *keep {me} going on the train;"
            "*fall short of the claims / *live up to the claims",
            comparatives="worse / better; shorter-lived / longer-lived",
            neutral="*sit near the hinge; *take a normal charger; *weigh about as much as a book; *come fitted;"
            "*charge with the lid closed",
        ),
        Aspect(
            determiners="the",
            plain="fan; cooling; cooling fan; air vent",
            technical="heat sink; vapour chamber; dual-fan cooler; thermal design",
            expert="vapour chamber over a 45 W die; heat pipe with liquid-metal paste;"
            "twin-fan loop with a PWM curve;"
            "fin stack with phase-change pads",
            adjectives="noisy / quiet; feeble / efficient; irritating / unnoticeable; useless / effective;"
            "shrill / silent",
            verbs="*roar during light work / *whisper during heavy work; *let the base get hot / *keep the base cool;"
            "*gather dust / *stay dust free; *rattle at high speed / *hum softly at high speed;"
            "*disturb the whole room / *disturb nobody",
            comparatives="louder / quieter; weaker / more effective",
            neutral="*blow air to the left; *sit behind the grille; *start with the machine;"
            "*work under the keyboard;"
            "*have a black cover",
        ),
        Aspect(
            determiners="the",
            plain="drive; hard drive; storage; main drive",
            technical="SSD; 512 GB drive; solid-state drive; flash storage",
            expert="NVMe drive with a DRAM cache; 1 TB TLC drive over PCIe 4.0;"
            "OPAL-encrypted SSD with wear levelling;"
            "dual M.2 array in RAID 1",
            adjectives="slow / quick; tiny / huge; faulty / trustworthy; noisy / silent; unreliable / reliable",
            verbs="*lose {my} files / *keep {my} files safe; *fill up within weeks / *leave plenty of room;"
            "*fail without warning / *run without a fault;"
            "*open files at a crawl / *open files in a flash; *click in a worrying way / *work in silence",
            comparatives="slower / quicker; smaller / larger",
            neutral="*hold the system files; *come in three sizes; *sit under a metal plate; *appear as one letter;"
            "*store photos and music",
        ),
        Aspect(
            determiners="the",
            plain="touchpad; mouse button; pointer; +buttons",
            technical="trackpad; haptic touchpad; trackpoint; glass touchpad",
            expert="haptic pad with piezo actuators; multi-touch pad with precision drivers;"
            "trackpad at 240 Hz polling;"
            "capacitive pad with palm rejection",
            adjectives="jumpy / precise; sticky / smooth; tiny / generous; sluggish / responsive; clumsy / accurate",
            verbs="*miss half {my} clicks / *catch every click; *jump across the screen / *glide across the screen;"
            "*drive {me} to distraction / *make work a pleasure;"
            "*squeak under {my} thumb / *feel silky under {my} thumb;"
            "*stop responding / *respond instantly",
            comparatives="rougher / smoother; less accurate / more accurate",
            neutral="*sit below the space bar; *lie slightly to the left; *have a grey surface;"
            "*respond to two fingers;"
            "*switch off from the menu",
        ),
        Aspect(
            determiners="the",
            plain="lid; case; body; hinge",
            technical="aluminium lid; magnesium chassis; 1.2 kg body; 180-degree hinge",
            expert="CNC-milled unibody with 0.8 mm walls; magnesium-lithium chassis with ribbed bracing;"
            "dual-torque hinge rated at 30,000 openings; anodised 6000-series shell",
            adjectives="flimsy / solid; heavy / light; scratched / flawless; ugly / handsome; loose / firm",
            verbs="*creak at a touch / *feel rock solid; *crack within a month / *survive rough handling;"
            "*mark easily / *stay spotless;"
            "*look cheap / *look expensive; *weigh down {my} bag / *slip into {my} bag",
            comparatives="weaker / sturdier; heavier / lighter",
            neutral="*come in silver; *have rounded edges; *open with one hand; *carry a small logo;"
            "*use recycled metal",
        ),
    ),
)

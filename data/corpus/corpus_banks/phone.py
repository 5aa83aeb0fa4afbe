"""Phrases about phones."""

from __future__ import annotations

from .schema import Aspect, Topic

TOPIC = Topic(
    label="phone",
    kind="product",
    entities="phone; handset; smartphone; model; mobile",
    makers="brand; maker; company; manufacturer",
    preposition="on",
    leads="*buy {E} #; *use {E} for work; *switch to {E} #; *carry {E} everywhere; *order {E} online #;"
    "*take {E} on holiday;"
    "*make long calls {at}; *edit photos {at}",
    outcomes="so {I} *return it / so {I} *keep it; so {I} *ask for a refund / so {I} *order a second one;"
    "so {I} *go back to {my} old one / so {I} *sell {my} old one; so {I} *switch it off / so {I} *use it all day;"
    "so {I} *curse the maker / so {I} *praise the maker",
    references="on {my} old phone; on the previous model; on cheaper models; on most rivals; last year",
    past="in the first week; after the update; on {my} trip; during long calls; straight out of the box;"
    "over the first month",
    present="on cold days; during long calls; in bright sunlight; on busy days; when travelling; in the evening",
    future="after the next update; in the next version; by the end of the year; over the coming year;"
    "once the new software arrives; on {my} next trip",
    aspects=(
        Aspect(
            determiners="the",
            plain="battery; built-in battery; spare battery",
            technical="lithium battery; 5000 mAh battery; 18 Wh battery; fast-charging battery",
            expert="silicon-carbon battery rated for 1,600 cycles; dual-cell 5500 mAh pack;"
            "graphene-coated pouch cell with a 65 W controller; stacked lithium-polymer cell with USB-PD input",
            adjectives="weak / strong; unreliable / reliable; worn / durable; hopeless / impressive; poor / superb",
            verbs="*drain too fast / *last two full days #; *die by noon / *survive until bedtime;"
            "*get hot / *stay cool;"
            "*charge painfully slowly / *charge in no time; *let {me} down / *keep {me} going",
            comparatives="weaker / stronger; worse / better",
            neutral="*sit behind the back cover; *come half charged; *charge through a cable; *power the screen;"
            "*have a grey label",
        ),
        Aspect(
            determiners="the",
            plain="screen; display; glass; front glass",
            technical="OLED screen; 6.1-inch display; LCD screen; 90 Hz display",
            expert="120 Hz OLED panel; LTPO display with 1,600-nit peaks; 10-bit panel with PWM dimming;"
            "laminated AMOLED at 460 ppi",
            adjectives="dim / bright; blurry / sharp; fragile / tough; dull / vivid; jerky / smooth",
            verbs="*scratch at a touch / *resist scratches; *flicker in the dark / *stay steady in the dark;"
            "*strain {my} eyes / *please {my} eyes; *freeze now and then / *respond at once;"
            "*show washed-out colours / *show lifelike colours",
            comparatives="dimmer / brighter; duller / sharper",
            neutral="*cover most of the front; *turn off after a minute; *have rounded corners; *show the time;"
            "*rotate with the phone",
        ),
        Aspect(
            determiners="the",
            plain="camera; front camera; main camera; night camera",
            technical="50-megapixel camera; telephoto camera; ultrawide camera; periscope lens",
            expert="1-inch stacked sensor behind an f/1.6 lens; periscope camera with 5x optical zoom;"
            "ultrawide with dual-pixel autofocus; camera with sensor-shift stabilisation",
            adjectives="slow / quick; disappointing / fantastic; clumsy / clever; grainy / crisp;mediocre / brilliant",
            verbs="*take blurry photos / *take sharp photos; *struggle after dark / *shine after dark;"
            "*miss the moment / *catch the moment; *ruin skin tones / *flatter skin tones;"
            "*crash often # / *work first time",
            comparatives="slower / quicker; grainier / clearer",
            neutral="*sit in the top corner; *take square photos; *have a small flash; *open with a double tap;"
            "*stick out from the back",
        ),
        Aspect(
            determiners="the",
            plain="speaker; loudspeaker; main speaker; small speaker",
            technical="stereo speaker; earpiece; piezo speaker; 2 W speaker",
            expert="stereo pair with a smart-amp driver; 1.2 cc speaker box; earpiece with a MEMS transducer;"
            "balanced-armature earpiece",
            adjectives="tinny / rich; faint / loud; muffled / clear; harsh / warm; patchy / steady",
            verbs="*crackle during calls / *stay clear during calls;"
            "*distort at high volume / *hold up at high volume;"
            "*annoy everyone nearby / *impress everyone nearby; *fade in and out / *fill the kitchen;"
            "*make voices unclear / *make voices clear",
            comparatives="quieter / louder; thinner / fuller",
            neutral="*sit at the lower edge; *work with the radio app; *hide behind a small grille;"
            "*face downwards; *obey the volume keys",
        ),
        Aspect(
            determiners="the",
            plain="software; system; home screen; settings menu",
            technical="operating system; launcher; firmware; 64-bit system",
            expert="firmware with a hardened kernel; launcher on an A/B partition scheme;"
            "sandboxed runtime with mandatory access rules;"
            "scheduler tuned for hybrid cores",
            adjectives="slow / fast; confusing / intuitive; buggy / stable; cluttered / tidy; clunky / slick",
            verbs="*crash constantly # / *run smoothly; *hide the basics / *keep the basics close;"
            "*push endless adverts / *stay free of adverts; *forget {my} settings / *remember {my} settings;"
            "*waste {my} time / *save {my} time",
            comparatives="slower / faster; messier / cleaner",
            neutral="*update at night #; *support two languages; *start with a logo; *use a dark background;"
            "*ask for a code",
        ),
        Aspect(
            determiners="the",
            plain="signal; reception; internet connection; mobile signal",
            technical="5G signal; LTE reception; wifi antenna; roaming connection",
            expert="sub-6 GHz 5G link with carrier aggregation; 4x4 MIMO antenna array; modem with VoLTE fallback;"
            "tri-band radio with Wi-Fi 6E",
            adjectives="weak / strong; unstable / stable; slow / fast; patchy / consistent; awful / excellent",
            verbs="*vanish indoors / *hold up indoors; *drop {my} calls / *keep {my} calls alive;"
            "*fail in the countryside / *reach the countryside; *cut out on trains / *work well on trains;"
            "*slow down at night / *stay quick at night",
            comparatives="weaker / stronger; patchier / steadier",
            neutral="*show as four bars; *depend on the network; *switch between masts; *work in most countries;"
            "*appear at the top of the screen",
        ),
        Aspect(
            determiners="the",
            plain="case; back cover; body; frame",
            technical="aluminium frame; IP68 body; polycarbonate case; ceramic back",
            expert="titanium frame with a PVD coating; IP68 chassis with gasketed ports;"
            "7000-series aluminium unibody;"
            "aramid-fibre back with nano-texture",
            adjectives="flimsy / sturdy; slippery / grippy; ugly / elegant; bulky / slim; cheap / classy",
            verbs="*crack easily / *survive every drop; *feel like a toy / *feel well made;"
            "*collect greasy prints / *stay clean;"
            "*bend in {my} pocket / *fit {my} pocket nicely; *chip at the edges / *shrug off knocks",
            comparatives="flimsier / tougher; heavier / lighter",
            neutral="*come in green; *have a matt finish; *hold one card slot; *measure the same as last year's;"
            "*have a hole for a strap",
        ),
        Aspect(
            determiners="the",
            plain="charger; cable; plug; charging cable",
            technical="USB-C cable; 30 W charger; wireless charger; power adapter",
            expert="GaN charger with PPS support; 65 W adapter with two power profiles;"
            "Qi2 coil with magnetic alignment;"
            "E-marked cable rated for 5 A",
            adjectives="useless / handy; slow / fast; clumsy / compact; faulty / dependable; noisy / silent",
            verbs="*break within days / *last for years #; *run dangerously hot / *stay cool;"
            "*slip out of the socket / *fit tightly;"
            "*take all night # / *finish in minutes; *buzz loudly / *work silently",
            comparatives="slower / faster; clumsier / neater",
            neutral="*come in the box; *cost extra; *fit a standard socket; *measure about a metre;"
            "*have a white finish",
            preposition="with",
        ),
    ),
)

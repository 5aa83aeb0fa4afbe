"""Phrases about headphones."""

from __future__ import annotations

from .schema import Aspect, Topic

TOPIC = Topic(
    label="headphones",
    kind="product",
    entities="+headphones; headset; pair; model; set",
    makers="brand; maker; company; audio firm",
    preposition="on",
    leads="*buy {E} #; *wear {E} on the bus; *use {E} at work; *listen to podcasts {at}; *take {E} to the office;"
    "*play the piano with {E}; *choose {E} for travel; *watch films {at}",
    outcomes="so {I} *send it all back / so {I} *order another pair;"
    "so {I} *turn the music off / so {I} *turn the music up;"
    "so {I} *stop listening / so {I} *listen for hours; so {I} *use {my} old pair / so {I} *give away {my} old pair;"
    "so {I} *write to the maker / so {I} *tell {my} friends",
    references="on {my} old pair; on cheaper sets; on most rivals; on last year's model",
    past="on the flight; during the first week; on {my} commute; at the gym; in the studio; after the update",
    present="on {my} commute; during long calls; at the gym; on the bus; in noisy places; with classical music",
    future="on the next flight; after the next update; on {my} next commute; in the next version;"
    "over the coming year;"
    "once the warranty ends",
    aspects=(
        Aspect(
            determiners="the",
            plain="sound; music; overall sound; singing",
            technical="stereo image; sound stage; frequency response; lossless playback",
            expert="40 mm beryllium driver; planar-magnetic driver at 32 ohms; 24-bit lossless stream;"
            "response tuned to a free-field target",
            adjectives="flat / rich; muddy / clear; harsh / smooth; lifeless / lively; thin / full",
            verbs="*hurt {my} ears / *soothe {my} ears; *lack any detail / *reveal every detail;"
            "*tire {me} quickly / *thrill {me} for hours #;"
            "*bury the voices / *bring out the voices; *spoil old records / *revive old records",
            comparatives="duller / livelier; harsher / smoother",
            neutral="*come through both sides; *change with the volume; *depend on the source;"
            "*start after a short beep;"
            "*reach both ears",
        ),
        Aspect(
            determiners="the",
            plain="bass; low end; drum sound; +low notes",
            technical="sub-bass; bass boost; 20 Hz bass; bass equaliser",
            expert="sub-bass below 30 Hz; bass-reflex port tuned to 45 Hz; low shelf at 105 Hz;"
            "bass with under 1 percent distortion",
            adjectives="boomy / tight; weak / punchy; sloppy / controlled; hollow / deep; muddy / clean",
            verbs="*drown the vocals / *support the vocals; *rattle badly / *stay controlled;"
            "*give {me} a headache / *make {me} dance;"
            "*fade at low volume / *hold up at low volume; *sound like a cardboard box / *sound like a live band",
            comparatives="boomier / tighter; weaker / deeper",
            neutral="*rise with the volume; *depend on the song; *change with the app; *stay below the vocals;"
            "*follow the drums",
        ),
        Aspect(
            determiners="the",
            plain="headband; strap; padding; +side pads",
            technical="memory-foam headband; steel headband; leatherette padding; 250 g frame",
            expert="headband with a spring-steel core; carbon yoke with a 4 N clamp force;"
            "gel-infused foam over a nylon yoke;"
            "protein-leather band with a suspension strap",
            adjectives="tight / comfortable; heavy / light; hard / soft; scratchy / silky; flimsy / sturdy",
            verbs="*pinch {my} head / *hug {my} head; *snap within weeks / *last for years #;"
            "*mess up {my} hair / *leave {my} hair alone;"
            "*feel tight after an hour / *feel fine after an hour; *slip off / *stay in place",
            comparatives="tighter / comfier; heavier / lighter",
            neutral="*come in black; *adjust in small steps; *have a cloth lining; *show the logo;"
            "*extend on both sides",
        ),
        Aspect(
            determiners="the",
            plain="battery; built-in battery; charge; battery life",
            technical="lithium battery; 40-hour battery; 600 mAh battery; fast-charge battery",
            expert="700 mAh cell with USB-C charging; lithium-polymer cell with a 10-minute top-up;"
            "battery on a 5 V charge controller;"
            "pouch cell rated for 800 cycles",
            adjectives="weak / strong; disappointing / impressive; unreliable / reliable; feeble / superb;"
            "unpredictable / steady",
            verbs="*run out on the train / *outlast every train ride;"
            "*die without warning / *warn {me} in good time; *fade within months / *stay strong for years #;"
            "*leave {me} in silence / *keep the music going;"
            "*need charging every evening # / *need charging once a week #",
            comparatives="weaker / stronger; worse / better",
            neutral="*sit in the left side; *charge from a computer; *come half full; *show as a small light;"
            "*power the controls",
        ),
        Aspect(
            determiners="the",
            plain="microphone; mic; voice pickup; call microphone",
            technical="boom microphone; condenser microphone; unidirectional mic; noise-gated mic",
            expert="beamforming array with four MEMS capsules; cardioid capsule with a 100 Hz roll-off;"
            "boom mic with sidetone control;"
            "bone-conduction pickup with wind rejection",
            adjectives="muffled / clear; useless / useful; faint / strong; unreliable / dependable; noisy / clean",
            verbs="*make {me} sound far away / *make {me} sound close;"
            "*pick up every breath / *ignore {my} breathing; *annoy {my} colleagues / *impress {my} colleagues;"
            "*fail in the wind / *cope well with wind; *cut {me} off mid-sentence / *catch every word",
            comparatives="fainter / clearer; noisier / cleaner",
            neutral="*fold up when idle; *sit near the left cheek; *come with a foam cover; *have a red light;"
            "*switch off with a button",
        ),
        Aspect(
            determiners="the",
            plain="noise blocking; quiet mode; outside sound mode; +noise settings",
            technical="noise cancelling; ambient mode; passive isolation; 30 dB isolation",
            expert="hybrid ANC with six microphones; feed-forward ANC loop at 38 dB; adaptive transparency filter;"
            "ANC chip with a 48 kHz DSP",
            adjectives="weak / effective; pointless / wonderful; patchy / consistent; unpleasant / soothing;"
            "erratic / stable",
            verbs="*let in the traffic / *shut out the traffic;"
            "*hiss in quiet rooms / *work silently in quiet rooms; *make {me} dizzy / *help {me} focus;"
            "*fail on planes / *work wonders on planes; *disturb the music / *flatter the music",
            comparatives="weaker / stronger; less useful / more useful",
            neutral="*turn on with a long press; *work without music; *use some extra power; *have three levels;"
            "*start with a soft tone",
        ),
        Aspect(
            determiners="the",
            plain="cable; connection; wireless link; link to {my} phone",
            technical="Bluetooth link; USB dongle; 3.5 mm cable; dual-device pairing",
            expert="Bluetooth 5.3 link with multipoint; 2.4 GHz dongle with 20 ms latency; balanced 4.4 mm cable;"
            "LE Audio link with the LC3 codec",
            adjectives="unstable / stable; annoying / handy; fragile / robust; unreliable / reliable;"
            "awkward / effortless",
            verbs="*drop out in the street / *hold steady in the street; *fail on the move / *work on the move;"
            "*take ages to set up / *work straight away;"
            "*crackle badly / *stay crystal clear; *break within weeks / *survive daily use",
            comparatives="less stable / more stable; worse / better",
            neutral="*reach across a room; *work with most phones; *start on the left side; *switch off when idle;"
            "*work with a television",
        ),
        Aspect(
            determiners="the",
            plain="+ear cushions; +ear pads; +soft pads; +cushions",
            technical="+memory-foam pads; +velour pads; +leatherette cushions; 20 mm padding",
            expert="+fenestrated sheepskin pads; +gel-cooled cushions with a 25 mm depth;"
            "+hybrid velour pads over slow-rebound foam;"
            "+angled protein-leather pads",
            adjectives="thin / thick; rough / soft; flimsy / durable; smelly / fresh; shabby / smart",
            verbs="*wear out fast / *wear well; *smell of plastic / *smell of good leather;"
            "*tear at the seams / *hold together;"
            "*feel cheap / *feel luxurious; *look worn after a week / *look new after a week",
            comparatives="thinner / plusher; rougher / softer",
            neutral="*come in two colours; *cost extra; *come in the same box; *have a grey lining;"
            "*arrive in a paper bag",
        ),
    ),
)

"""Phrases about car repair."""

from __future__ import annotations

from .schema import Aspect, Topic

TOPIC = Topic(
    label="garage",
    kind="place",
    entities="garage; workshop; repair shop; service centre; car clinic",
    makers="",
    preposition="at",
    leads="*take {my} car to {E}; *leave {my} van {at}; *have the brakes checked {at}; *book a service {at};"
    "*bring an old estate to {E};"
    "*get new tyres {at}; *call {E} after a breakdown; *order a spare part {at}",
    outcomes="so {I} *pay twice / so {I} *save money; so {I} *take the bus / so {I} *drive home happy;"
    "so {I} *refuse to pay / so {I} *pay gladly; so {I} *find another mechanic / so {I} *go back each year;"
    "so {I} *complain to the owner / so {I} *thank the owner",
    references="at the dealer; at {my} old garage; at the place down the road; last year; last time",
    past="before the inspection; after the accident; on {my} last visit; during the cold snap;"
    "before {my} road trip; on Friday",
    present="in winter; before inspections; on long journeys; on Monday mornings; on cold days; on the motorway",
    future="at the next inspection; before the winter; on {my} next visit; after the repair; on the next long drive;"
    "by the end of the month",
    aspects=(
        Aspect(
            determiners="the",
            plain="mechanic; young mechanic; owner; +mechanics",
            technical="diagnostic technician; panel beater; MOT tester; transmission specialist",
            expert="technician with an oscilloscope on the CAN bus; fitter with a 90 Nm torque chart;"
            "engine builder with a bore gauge;"
            "tester with a four-gas analyser",
            adjectives="rude / polite; dishonest / honest; careless / careful; lazy / hard-working;arrogant / modest",
            verbs="*overcharge {me} / *charge {me} fairly; *make things worse / *fix everything;"
            "*hide the real problem / *explain the problem clearly;"
            "*leave oil on the seats / *leave the seats spotless; *break {my} mirror / *wash {my} car for free",
            comparatives="slower / quicker; less honest / more honest",
            neutral="*work in the back; *start at seven; *wear blue overalls; *deal with most makes;"
            "*come from the next village",
        ),
        Aspect(
            determiners="the",
            plain="repair; quick fix; oil change; yearly service",
            technical="timing belt change; transmission service; diagnostic scan; wheel alignment",
            expert="timing chain job with new VVT phasers; gearbox rebuild with synchro rings;"
            "ABS recalibration by OBD-II;"
            "four-wheel alignment to 0.1 degrees of toe",
            adjectives="slow / quick; shoddy / thorough; expensive / cheap; botched / flawless; careless / careful",
            verbs="*fail within a week / *last for years #; *take far too long / *take no time at all;"
            "*cost a fortune / *cost very little;"
            "*make the noise worse / *cure the noise; *waste {my} whole day / *save {my} holiday",
            comparatives="slower / quicker; dearer / cheaper",
            neutral="*take half a day; *include a road test; *need a booking; *start in the morning;"
            "*appear in the logbook",
        ),
        Aspect(
            determiners="the",
            plain="+brakes; brake pedal; handbrake; new brake set",
            technical="+brake discs; +brake pads; +ABS sensors; hydraulic line",
            expert="+ventilated discs at 28 mm; +recalibrated ABS sensors; +four-piston calipers with sintered pads;"
            "master cylinder bled with DOT 4 fluid",
            adjectives="noisy / quiet; weak / strong; unsafe / safe; spongy / firm; unreliable / reliable",
            verbs="*squeal at every corner / *stay silent at every corner;"
            "*fail the inspection / *pass the inspection; *scare {me} in the rain / *reassure {me} in the rain;"
            "*wear out early / *wear slowly; *respond too late / *respond at once",
            comparatives="weaker / stronger; noisier / quieter",
            neutral="*come from a local supplier; *need a check each year #; *sit on the order list;"
            "*cost the usual amount;"
            "*carry a two-year guarantee",
            preposition="from",
        ),
        Aspect(
            determiners="the",
            plain="engine; old engine; motor; car engine",
            technical="diesel engine; turbocharger; fuel injector; alternator",
            expert="common-rail diesel with piezo injectors; variable-geometry turbo at 1.8 bar;"
            "twin-cam head with new valve guides;"
            "alternator with a clutched pulley",
            adjectives="rough / smooth; noisy / quiet; weak / powerful; sluggish / lively; thirsty / economical",
            verbs="*stall at every junction / *run like clockwork; *smoke on hills / *pull well on hills;"
            "*leak oil / *stay dry and clean;"
            "*start only after a push / *start first time; *overheat in traffic / *stay cool in traffic",
            comparatives="rougher / smoother; weaker / stronger",
            neutral="*come from another van; *rest on the bench; *date from last year; *have a steel cover;"
            "*need standard oil",
            preposition="from",
        ),
        Aspect(
            determiners="the",
            plain="+tyres; wheel; spare wheel; +winter tyres",
            technical="+run-flat tyres; alloy wheel; +all-season tyres; 17-inch wheel",
            expert="+205/55 radials with a silica compound; forged alloy at 7J width; +run-flats with TPMS valves;"
            "+directional tyres balanced to 5 g",
            adjectives="worn / new; slippery / grippy; noisy / quiet; unsafe / safe; wobbly / steady",
            verbs="*lose air overnight / *hold air for months #; *slide in the wet / *grip in the wet;"
            "*shake at speed / *run true at speed;"
            "*crack after one summer / *last for many summers #; *spoil the ride / *smooth the ride",
            comparatives="noisier / quieter; worse / better",
            neutral="*come in pairs; *stand against the wall; *fit most small cars; *carry a paper label;"
            "*cost the same in any colour",
            preposition="from",
        ),
        Aspect(
            determiners="the",
            plain="bill; price; quote; final cost",
            technical="labour rate; itemised invoice; parts markup; 20 percent surcharge",
            expert="invoice at 1.4 book hours; labour rate split by diagnostic tier; parts line with a core deposit;"
            "estimate built on OEM part codes",
            adjectives="high / low; unfair / fair; vague / clear; shocking / modest; confusing / transparent",
            verbs="*double without warning / *match the estimate; *include hidden extras / *include no extras;"
            "*empty {my} wallet / *spare {my} wallet;"
            "*upset {me} / *please {me}; *look invented / *look honest",
            comparatives="higher / lower; vaguer / clearer",
            neutral="*come by post; *list parts and labour; *run to two pages; *cover the usual checks; *include tax",
        ),
        Aspect(
            determiners="the",
            plain="waiting room; front office; lounge; coffee corner",
            technical="customer lounge with 5 GHz wifi; glazed viewing gallery; EV charging bay; HVAC-cooled lounge",
            expert="lounge behind 44 dB partition glass; EV bay with a 22 kW type 2 post;"
            "viewing gallery over the two-post lifts;"
            "reception on a dealer management terminal",
            adjectives="dirty / clean; freezing / warm; gloomy / bright; crowded / quiet;uncomfortable / comfortable",
            verbs="*smell of petrol / *smell of coffee; *look abandoned / *look inviting;"
            "*lack even a chair / *have soft chairs;"
            "*make the wait longer / *make the wait shorter; *put {me} in a bad mood / *put {me} in a good mood",
            comparatives="colder / warmer; shabbier / nicer",
            neutral="*face the yard; *have a drinks machine; *stay open at lunch #; *lie beside the entrance;"
            "*have a glass door",
        ),
        Aspect(
            determiners="the",
            plain="paint job; new paint; dent repair; bumper repair",
            technical="respray; clear coat; two-pack paint; bodywork repair",
            expert="two-pack respray baked at 60 degrees; clear coat at 120 microns; spectrophotometer colour match;"
            "aluminium panel pull with a stud welder",
            adjectives="uneven / even; dull / glossy; sloppy / neat; patchy / perfect; disappointing / impressive",
            verbs="*peel within a month / *shine after a year; *stand out badly / *blend in perfectly;"
            "*leave bubbles / *leave no trace;"
            "*fade in the sun / *keep a deep shine; *cheapen the car / *transform the car",
            comparatives="rougher / smoother; duller / shinier",
            neutral="*take three days; *cover the left door; *need a day to dry; *match the factory shade;"
            "*start with a wash",
        ),
    ),
)

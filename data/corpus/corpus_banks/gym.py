"""Phrases about gyms."""

from __future__ import annotations

from .schema import Aspect, Topic

TOPIC = Topic(
    label="gym",
    kind="place",
    entities="gym; fitness club; fitness studio; health club; sports centre",
    makers="",
    preposition="at",
    leads="*train {at}; *join {E} #; *take a dance class {at}; *swim before work {at}; *visit {E} with a friend;"
    "*lift weights {at}; *sign up for {E} #; *book a trial session {at} #",
    outcomes="so {I} *cancel {my} membership / so {I} *renew {my} membership;"
    "so {I} *train at home / so {I} *train each day;"
    "so {I} *go home early / so {I} *stay an extra hour; so {I} *lose interest / so {I} *get fitter;"
    "so {I} *complain to the manager / so {I} *sign up {my} brother",
    references="at {my} old club; at the club across town; before the refit; last year; last time",
    past="in January; before work; on {my} first day; at the trial session; during the refit; after work on Tuesday",
    present="before work; at peak hours; in January; on weekday mornings; after work; on Sundays",
    future="after the refit; in January; at the next session; on {my} next visit; once the new wing opens;"
    "during the spring course",
    aspects=(
        Aspect(
            determiners="the|{my}",
            plain="trainer; coach; young trainer; +coaches",
            technical="physiotherapist; strength coach; spin instructor; nutritionist",
            expert="coach programming by VO2 max zones; trainer using velocity-based loading;"
            "physiotherapist with a force-plate test;"
            "coach tracking lactate thresholds",
            adjectives="rude / friendly; lazy / energetic; impatient / patient; bored / motivated;unhelpful / helpful",
            verbs="*ignore beginners / *encourage beginners; *stare at a phone / *watch every move;"
            "*push {me} too hard / *push {me} just enough;"
            "*cancel at short notice / *turn up on time; *give poor advice / *give sound advice",
            comparatives="less patient / more patient; stricter and colder / warmer and kinder",
            neutral="*work the early shift; *wear a red shirt; *live near the park; *teach on two floors;"
            "*carry a clipboard",
        ),
        Aspect(
            determiners="the",
            plain="rowing machine; exercise bike; running machine; step machine",
            technical="treadmill; cross-trainer; cable machine; 15-kilo flywheel",
            expert="treadmill with a 4 hp motor; air bike with a chain-driven flywheel;"
            "rower with a magnetic drag sensor;"
            "cable tower with a 2:1 pulley ratio",
            adjectives="old / modern; noisy / quiet; wobbly / stable; broken / new; rusty / shiny",
            verbs="*squeak with every move / *run without a sound; *stop mid-workout / *run for hours #;"
            "*hurt {my} knees / *protect {my} knees;"
            "*need repair / *work perfectly; *shake the floor / *stay rock steady",
            comparatives="noisier / quieter; rougher / smoother",
            neutral="*stand near the mirror; *have a small screen; *face the window; *weigh a great deal;"
            "*need a key card",
        ),
        Aspect(
            determiners="the",
            plain="changing room; locker room; shower room; +lockers",
            technical="steam room; infrared sauna; +RFID lockers; thermostatic shower block",
            expert="infrared cabin at 60 degrees; steam room with a demand-controlled vent;"
            "shower block on legionella-safe mixing valves;"
            "+RFID lockers on a mesh controller",
            adjectives="dirty / clean; smelly / fresh; cramped / spacious; cold / warm; gloomy / bright",
            verbs="*smell of old socks / *smell of eucalyptus; *need a good scrub / *shine;"
            "*fill up at once / *have room for all;"
            "*make {me} shiver / *make {me} feel at home; *look like a ruin / *look like a spa",
            comparatives="dirtier / cleaner; smaller / roomier",
            neutral="*lie in the basement; *have grey doors; *open at six; *sit beside the pool;*have wooden benches",
        ),
        Aspect(
            determiners="the",
            plain="yoga class; dance class; evening class; morning class",
            technical="pilates class; spin class; HIIT class; 45-minute circuit",
            expert="HIIT block at 90 percent of peak heart rate; reformer class with graded spring tension;"
            "cadence ride at 95 rpm;"
            "mobility class using PNF stretching",
            adjectives="boring / fun; crowded / relaxed; chaotic / well-run; dull / lively; pointless / rewarding",
            verbs="*start late / *start on time; *leave {me} sore / *leave {me} glowing;"
            "*drain {my} energy / *lift {my} mood;"
            "*confuse newcomers / *welcome newcomers; *feel endless / *fly by",
            comparatives="duller / livelier; busier / calmer",
            neutral="*take place upstairs; *end with a stretch; *need a booking; *use mats and bands;*meet in the hall",
        ),
        Aspect(
            determiners="the",
            plain="+weights; weight bench; bench; +dumbbells",
            technical="squat rack; +kettlebells; 20 kg barbell; +bumper plates",
            expert="power rack with 11-gauge uprights; olympic barbell with needle bearings;"
            "+plates calibrated to 10 g;"
            "trap bar with a 28 mm knurled grip",
            adjectives="rusty / shiny; worn / new; scattered / tidy; scarce / plentiful; sticky / clean",
            verbs="*wobble under load / *feel secure under load; *go missing / *stay in order;"
            "*hurt {my} hands / *feel good in {my} hands;"
            "*look ancient / *look brand new; *let {me} down / *serve {me} well",
            comparatives="rustier / shinier; worse / better",
            neutral="*stand along the wall; *come in black; *rest on rubber mats; *suit adults; *face the mirror",
        ),
        Aspect(
            determiners="the",
            plain="membership; monthly fee; joining fee; contract",
            technical="12-month contract; direct debit plan; off-peak tariff;family tariff with a 10 percent discount",
            expert="rolling contract with a pro-rata clause; off-peak tier capped by access token;"
            "corporate plan on salary sacrifice;"
            "direct debit mandate with a 30-day cooling-off term",
            adjectives="expensive / cheap; unfair / fair; overpriced / affordable; rigid / flexible;"
            "dreadful / excellent",
            verbs="*rise without notice / *stay the same; *trap {me} for a year / *let {me} leave at any time;"
            "*hide extra costs / *include everything;"
            "*upset students / *suit students; *waste {my} money / *save {me} money",
            comparatives="dearer / cheaper; stricter / more flexible",
            neutral="*start on the first; *cover both pools; *need a signature; *run for one year; *include a towel",
        ),
        Aspect(
            determiners="the",
            plain="pool; training hall; main hall; running track",
            technical="25-metre pool; sports hall with a sprung floor; climbing hall; tartan track",
            expert="pool dosed by salt electrolysis; hall with a sprung beech floor on shock pads;"
            "200-metre track with banked bends;"
            "lead-climbing hall with 15-degree overhangs",
            adjectives="crowded / spacious; dirty / spotless; stuffy / airy; slippery / safe; dim / bright",
            verbs="*close without notice / *stay open late; *look neglected / *look superb;"
            "*disappoint swimmers and runners / *delight swimmers and runners;"
            "*echo horribly / *sound calm; *hurt {my} nose with fumes / *smell clean",
            comparatives="busier / quieter; dirtier / cleaner",
            neutral="*lie at the back; *have white lines; *open to schools; *have large windows; *close at ten #",
        ),
        Aspect(
            determiners="the",
            plain="music; air; background music; cool air",
            technical="ventilation; sound system; air conditioning; 200 W sound system",
            expert="ventilation at ten air changes per hour; line-array sound system; heat-recovery air unit;"
            "ceiling speaker system on a 100 V line",
            adjectives="unpleasant / pleasant; hopeless / excellent; irritating / welcoming; bad / good;"
            "tiring / refreshing",
            verbs="*spoil {my} workout / *improve {my} workout; *drive {me} out / *draw {me} in;"
            "*give {me} a headache / *give {me} energy;"
            "*annoy everyone / *please everyone; *fail at peak times / *cope at peak times",
            comparatives="worse / better; more annoying / more pleasant",
            neutral="*reach every floor; *differ from room to room; *start at six; *come from the same firm;"
            "*stay on at night #",
        ),
    ),
)

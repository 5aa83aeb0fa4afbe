"""Verb forms: plain form, past and third person singular, one verb per entry."""

from __future__ import annotations

_FORMS = """
add added adds; adjust adjusted adjusts; age aged ages; allow allowed allows; annoy annoyed annoys;
answer answered answers; appear appeared appears; apply applied applies; argue argued argues;
arrive arrived arrives; ask asked asks; attend attended attends; attract attracted attracts; be was is;
begin began begins; belong belonged belongs; bend bent bends; blame blamed blames; blend blended blends;
block blocked blocks; blow blew blows; book booked books; border bordered borders; bore bored bores;
bother bothered bothers; break broke breaks; breeze breezed breezes; bring brought brings; browse browsed browses;
bunch bunched bunches; burn burned burns; bury buried buries; buy bought buys; buzz buzzed buzzes;
call called calls; calm calmed calms; cancel cancelled cancels; carry carried carries; catch caught catches;
celebrate celebrated celebrates; certify certified certifies; change changed changes; charge charged charges;
charm charmed charms; cheapen cheapened cheapens; check checked checks; cheer cheered cheers; chip chipped chips;
choke choked chokes; choose chose chooses; clash clashed clashes; click clicked clicks; close closed closes;
collapse collapsed collapses; collect collected collects; combine combined combines; come came comes;
complain complained complains; confuse confused confuses; contain contained contains; cope coped copes;
cost cost costs; count counted counts; cover covered covers; crack cracked cracks; crackle crackled crackles;
crash crashed crashes; creak creaked creaks; cross crossed crosses; crown crowned crowns;
crumble crumbled crumbles; cure cured cures; curse cursed curses; curve curved curves; cushion cushioned cushions;
cut cut cuts; date dated dates; deal dealt deals; delete deleted deletes; delight delighted delights;
demand demanded demands; depend depended depends; die died dies; differ differed differs; dig dug digs;
disappear disappeared disappears; disappoint disappointed disappoints; distort distorted distorts;
disturb disturbed disturbs; do did does; double doubled doubles; download downloaded downloads;
drag dragged drags; drain drained drains; draw drew draws; dress dressed dresses; drive drove drives;
drop dropped drops; drown drowned drowns; dry dried dries; earn earned earns; eat ate eats; echo echoed echoes;
edit edited edits; embarrass embarrassed embarrasses; empty emptied empties; encourage encouraged encourages;
end ended ends; endorse endorsed endorses; enjoy enjoyed enjoys; exceed exceeded exceeds; expire expired expires;
explain explained explains; extend extended extends; face faced faces; fade faded fades; fail failed fails;
fall fell falls; feature featured features; feel felt feels; file filed files; fill filled fills;
find found finds; finish finished finishes; fit fitted fits; fix fixed fixes; flatter flattered flatters;
flicker flickered flickers; fly flew flies; fold folded folds; follow followed follows; force forced forces;
forget forgot forgets; frame framed frames; free freed frees; freeze froze freezes; frighten frightened frightens;
frustrate frustrated frustrates; gain gained gains; gather gathered gathers; get got gets; give gave gives;
glide glided glides; go went goes; grasp grasped grasps; greet greeted greets; grip gripped grips;
group grouped groups; grow grew grows; handle handled handles; hang hung hangs; have had has; help helped helps;
hide hid hides; hiss hissed hisses; hold held holds; hug hugged hugs; hum hummed hums; hurt hurt hurts;
ignore ignored ignores; impress impressed impresses; improve improved improves; include included includes;
irritate irritated irritates; join joined joins; joke joked jokes; jump jumped jumps; keep kept keeps;
know knew knows; lack lacked lacks; lag lagged lags; last lasted lasts; laugh laughed laughs; leak leaked leaks;
leave left leaves; let let lets; lie lay lies; lift lifted lifts; light lit lights; link linked links;
list listed lists; listen listened listens; live lived lives; lock locked locks; look looked looks;
lose lost loses; make made makes; mark marked marks; match matched matches; measure measured measures;
meet met meets; melt melted melts; mess messed messes; misread misread misreads; miss missed misses;
mix mixed mixes; move moved moves; need needed needs; obey obeyed obeys; offer offered offers; open opened opens;
order ordered orders; outlast outlasted outlasts; outrun outran outruns; overcharge overcharged overcharges;
overheat overheated overheats; overlook overlooked overlooks; pack packed packs; pamper pampered pampers;
pass passed passes; pay paid pays; peel peeled peels; pick picked picks; pinch pinched pinches; play played plays;
please pleased pleases; power powered powers; praise praised praises; prevent prevented prevents;
protect protected protects; pull pulled pulls; punish punished punishes; purr purred purrs; push pushed pushes;
put put puts; puzzle puzzled puzzles; queue queued queues; rank ranked ranks; rattle rattled rattles;
reach reached reaches; read read reads; reassure reassured reassures; recline reclined reclines;
recommend recommended recommends; refuse refused refuses; relax relaxed relaxes; remember remembered remembers;
renew renewed renews; repeat repeated repeats; replace replaced replaces; reply replied replies;
rescue rescued rescues; reserve reserved reserves; resist resisted resists; respect respected respects;
respond responded responds; rest rested rests; return returned returns; reveal revealed reveals;
revive revived revives; reward rewarded rewards; rinse rinsed rinses; rise rose rises; roar roared roars;
rotate rotated rotates; rub rubbed rubs; ruin ruined ruins; run ran runs; rush rushed rushes; save saved saves;
scare scared scares; scorch scorched scorches; scratch scratched scratches; seat seated seats; seem seemed seems;
sell sold sells; send sent sends; serve served serves; set set sets; shake shook shakes; share shared shares;
shine shone shines; shock shocked shocks; show showed shows; shrink shrank shrinks; shrug shrugged shrugs;
shut shut shuts; sigh sighed sighs; sign signed signs; sink sank sinks; sit sat sits; skip skipped skips;
sleep slept sleeps; slide slid slides; slip slipped slips; slow slowed slows; smell smelled smells;
smile smiled smiles; smoke smoked smokes; smooth smoothed smooths; smudge smudged smudges; snap snapped snaps;
soak soaked soaks; solve solved solves; soothe soothed soothes; sound sounded sounds; spare spared spares;
sparkle sparkled sparkles; speak spoke speaks; speed sped speeds; spend spent spends; split split splits;
spoil spoiled spoils; squeak squeaked squeaks; squeal squealed squeals; squeeze squeezed squeezes;
stain stained stains; stall stalled stalls; stand stood stands; stare stared stares; start started starts;
stay stayed stays; stick stuck sticks; sting stung stings; stop stopped stops; store stored stores;
strain strained strains; struggle struggled struggles; suit suited suits; support supported supports;
surprise surprised surprises; survive survived survives; swim swam swims; switch switched switches;
take took takes; talk talked talks; taste tasted tastes; teach taught teaches; tear tore tears; tell told tells;
tempt tempted tempts; test tested tests; thank thanked thanks; thrill thrilled thrills; throw threw throws;
tilt tilted tilts; tire tired tires; top topped tops; track tracked tracks; train trained trains;
transform transformed transforms; trap trapped traps; travel travelled travels; trust trusted trusts;
try tried tries; turn turned turns; update updated updates; upset upset upsets; use used uses;
vanish vanished vanishes; vary varied varies; visit visited visits; wait waited waits;
wake woke wakes; walk walked walks; warm warmed warms; warn warned warns; wash washed washes; waste wasted wastes;
watch watched watches; wear wore wears; weigh weighed weighs; welcome welcomed welcomes;
whisper whispered whispers; win won wins; wipe wiped wipes; wobble wobbled wobbles; work worked works;
worry worried worries; wrap wrapped wraps; write wrote writes
"""

# "be" is the one verb whose past and plural need forms of their own.
BE_PLURAL = ("were", "are")

VERBS = {entry.split()[0]: tuple(entry.split()[1:]) for entry in _FORMS.split(";")}

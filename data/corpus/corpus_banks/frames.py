"""Sentence templates, one per line, as ``past // present // future``.

A line without ``//`` serves all three tenses. ``<a|b|c>`` picks by sentiment (negative, positive, neutral); a line
with a two-way choice has no neutral form. Slots: ``{S}`` subject, ``{P}`` predicate, ``{PP}`` two predicates, ``{S2}
{P2}`` a second clause, ``{A}`` adjective, ``{C}`` comparison, ``{T}`` time, ``{O}`` opener, ``{R}`` outcome, ``{W}``
reaction, ``{E}`` the place or product, ``{at}`` the same with its preposition, ``{AtX}`` with a reputation tail,
``{App}`` with an article, ``{Cue}`` a reputation clause, ``{L}`` what the speaker did, ``{Lnow}`` the same in the
present, ``{L3}`` in the third person, ``{Who}`` and ``{who}`` a person, ``^verb`` agrees with ``{E}``.
"""

from __future__ import annotations

# These never name the place or product, so they can carry no reputation cue.
BARE_FRAMES = """
{S} {P}.
{S} {P} {T}.
{T}, {S} {P}.
{O}, {S} {P}.
{O}, {S} {P} {T}.
{S} {PP}.
{S} {PP} {T}.
{O}, {S} {PP}.
{S} {P}, {W}.
{S} {P} {T}, {W}.
{S} {P}, {R}.
{S} {PP}, {R}.
{S} {P} {T}, {R}.
{S} {P}, and {S2} {P2}.
{T}, {S} {P}, and {S2} {P2}.
{S} {P}, while {S2} {P2}.
{S} {C}.
{O}, {S} {C}.
{S} {C}, {R}.
{I} found {S} {A}. // {I} find {S} {A}. // {I} will probably find {S} {A}.
{I} found {S} {A} {T}. // {I} find {S} {A} {T}. // {I} will surely find {S} {A} {T}.
{I} found {S} {A}, {R}. // {I} find {S} {A}, {R}. // {I} will no doubt find {S} {A}, {R}.
{I} thought {S} {P}. // {I} think {S} {P}. // {I} think {S} {P}.
{I} noticed that {S} {P}. // {I} notice that {S} {P}. // {I} suspect that {S} {P}.
{I} heard that {S} {P}. // {I} hear that {S} {P}. // {I} hear that {S} {P}.
{I} felt that {S} {C}. // {I} feel that {S} {C}. // {I} believe that {S} {C}.
{Who} said that {S} {P}. // {Who} says that {S} {P}. // {Who} predicts that {S} {P}.
{Who} <complained|was glad|mentioned> that {S} {P}. // {Who} <complains|is glad|mentions> that {S} {P}. // \
{Who} <fears|hopes|expects> that {S} {P}.
{Who} found {S} {A}. // {Who} finds {S} {A}. // {Who} will find {S} {A}.
It <annoyed|pleased> {me} that {S} {P}. // It <annoys|pleases> {me} that {S} {P}. // \
It <worries|comforts> {me} that {S} {P}.
It was a <shame|joy> that {S} {P}. // It is a <shame|joy> that {S} {P}. // It is a <worry|comfort> that {S} {P}.
The <worst|best|main> point was that {S} {P}. // The <worst|best|main> point is that {S} {P}. // \
The <worst|best|main> point will be that {S} {P}.
The <bad|good> news was that {S} {P}. // The <bad|good> news is that {S} {P}. // The <bad|good> news is that {S} {P}.
Everyone agreed that {S} {P}. // Everyone agrees that {S} {P}. // Everyone agrees that {S} {P}.
In the end, {S} {P}. // As a rule, {S} {P}. // Sooner or later, {S} {P}.
As before, {S} {P}. // As always, {S} {P}. // Once again, {S} {P}.
As far as {I} could tell, {S} {P}. // As far as {I} can tell, {S} {P}. // As far as {I} can see, {S} {P}.
By all accounts, {S} {P}.
According to {who}, {S} {P}.
{I} {was} <sorry|glad|told> that {S} {P}. // {I} {am} <sorry|glad|told> that {S} {P}. // \
{I} {am} <afraid|confident|told> that {S} {P}.
Nobody denied that {S} {P}. // Nobody denies that {S} {P}. // Nobody doubts that {S} {P}.
Once again, {S} {P}, {W}. // As usual, {S} {P}, {W}. // No doubt {S} {P}, {W}.
{I} learned that {S} {P}. // {I} know that {S} {P}. // {I} {am} sure that {S} {P}.
It turned out that {S} {P}. // It turns out that {S} {P}. // It looks as if {S} {P}.
A <nasty|lovely> surprise: {S} {P}.
""".strip().splitlines()

# These name the place or product, plainly or with a reputation cue.
NAMED_FRAMES = """
{S} {at} {P}.
{S} {at} {P} {T}.
{T}, {S} {at} {P}.
{O}, {S} {at} {P}.
{S} {at} {PP}.
{S} {at} {PP} {T}.
{S} {at} {P}, {R}.
{S} {at} {P}, {W}.
{S} {at} {P}, and {S2} {P2}.
{S} {at} {P}, while {S2} {P2}.
{S} {at} {C}.
{O}, {S} {at} {C}.
{AtX}, {S} {P}.
{AtX}, {S} {PP}.
{AtX}, {S} {P}, and {S2} {P2}.
{AtX}, {S} {P}, {R}.
{AtX}, {S} {C}.
{O}, {S} {at} {PP}.
{I} {was} <sorry|glad> to choose {E} because {S} {P}. // {I} <dislike|like> {E} because {S} {P}. // \
{I} will be <sorry|glad> to choose {E} because {S} {P}.
{I} <criticised|praised> {E} because {S} {P}. // {I} <criticise|praise> {E} because {S} {P}. // \
{I} will <criticise|praise> {E} because {S} {P}.
{I} gave {E} <one star|five stars> because {S} {P}. // {I} give {E} <one star|five stars> because {S} {P}. // \
{I} will give {E} <one star|five stars> because {S} {P}.
{I} gave {E} <a low|a high> score: {S} {PP}. // {I} give {E} <a low|a high> score: {S} {PP}. // \
{I} will give {E} <a low|a high> score: {S} {PP}.
{I} <warned {who} about {E}|recommended {E} to {who}> because {S} {P}. // \
{I} <warn {who} about {E}|recommend {E} to {who}> because {S} {P}. // \
{I} will <warn {who} about {E}|recommend {E} to {who}> because {S} {P}.
{Who} <avoided|recommended> {E} because {S} {P}. // {Who} <avoids|recommends> {E} because {S} {P}. // \
{Who} will <avoid|recommend> {E} because {S} {P}.
{Who} gave {E} a <bad|good> review because {S} {P}. // {Who} gives {E} a <bad|good> review because {S} {P}. // \
{Who} will give {E} a <bad|good> review because {S} {P}.
{I} told {who} that {S} {at} {P}. // {I} often tell {who} that {S} {at} {P}. // {I} will tell {who} that {S} {at} {P}.
{Who} told {me} that {S} {at} {P}. // {Who} tells {me} that {S} {at} {P}. // {Who} thinks that {S} {at} {P}.
{Who} <hated|loved> {E} because {S} {P}. // {Who} <hates|loves> {E} because {S} {P}. // \
{Who} will <hate|love> {E} because {S} {P}.
{I} found {S} {at} {A}. // {I} find {S} {at} {A}. // {I} will probably find {S} {at} {A}.
{I} found {S} {at} {A} {T}. // {I} find {S} {at} {A} {T}. // {I} will surely find {S} {at} {A} {T}.
{I} thought {S} {at} {P}. // {I} think {S} {at} {P}. // {I} think {S} {at} {P}.
{I} noticed that {S} {at} {P}. // {I} notice that {S} {at} {P}. // {I} suspect that {S} {at} {P}.
{I} heard that {S} {at} {P}. // {I} hear that {S} {at} {P}. // {I} hear that {S} {at} {P}.
It <annoyed|pleased> {me} that {S} {at} {P}. // It <annoys|pleases> {me} that {S} {at} {P}. // \
It <worries|comforts> {me} that {S} {at} {P}.
{I} expected <more|less> from {E}, but {S} {P}. // \
{I} expect <better from|the best from> {E}, <but|and> {S} {P}. // \
{I} expect <little from|a lot from> {E}, and {S} {P}.
The <worst|best|main> thing about {E} was that {S} {P}. // \
The <worst|best|main> thing about {E} is that {S} {P}. // \
The <worst|best|main> thing about {E} will be that {S} {P}.
The <trouble with|beauty of|point about> {E} was that {S} {P}. // \
The <trouble with|beauty of|point about> {E} is that {S} {P}. // \
The <trouble with|beauty of|point about> {E} is that {S} {P}.
{E} <lost|won> {my} trust because {S} {P}. // {E} <^lose|^win> {my} trust because {S} {P}. // \
{E} will <lose|win> {my} trust because {S} {P}.
{E} <disappointed|impressed> {me} because {S} {P}. // {E} <^disappoint|^impress> {me} because {S} {P}. // \
{E} will <disappoint|impress> {me} because {S} {P}.
{E} <let {me} down|made {me} happy>: {S} {PP}. // {E} <^let {me} down|^make {me} happy>: {S} {PP}. // \
{E} will <let {me} down|make {me} happy>: {S} {PP}.
{I} {L}, and {S} {P}. // {I} {often} {L}, and {S} {P}. // {I} {L}, and {S} {P}.
{I} {L} {T}, and {S} {P}. // {I} {often} {L}, and {S} {PP}. // {I} {L} {T}, and surely {S} {P}.
When {I} {L}, {S} {P}. // Whenever {I} {L}, {S} {P}. // When {I} {Lnow}, {S} {P}.
When {I} {L} {T}, {S} {P}. // When {I} {L}, {S} {PP}. // When {I} {Lnow} {T}, {S} {P}.
{I} {L}, <but|and|and> {S} {C}. // {I} {often} {L}, <but|and|and> {S} {C}. // {I} {L}, <but|and|and> {S} {C}.
{I} {L} {T}, <but|and> {S} {PP}. // {I} {often} {L}, <but|and> {S} {P}. // {I} {L} {T}, <but|and> {S} {PP}.
{O}, when {I} {L}, {S} {P}. // {O}, whenever {I} {L}, {S} {P}. // {O}, when {I} {Lnow}, {S} {P}.
{Who} {L3} {T}, and {S} {P}. // {Who} {often} {L3}, and {S} {P}. // {Who} {L3} {T}, and {S} {P}.
{Who} {L3}, and {S} {PP}. // {Who} {often} {L3}, and {S} {PP}. // {Who} {L3}, and {S} {PP}.
""".strip().splitlines()

# These only make sense where there is a reputation to speak of.
CUED_FRAMES = """
This was {App}, <yet|and|and> {S} {P}. // This is {App}, <yet|and|and> {S} {P}. // This is {App}, <but|so|and> {S} {P}.
This was {App}, <yet|and> {S} {PP}. // This is {App}, <yet|and> {S} {PP}. // This is {App}, <but|so> {S} {PP}.
People called it {App}, <but|and|and> {S} {P}. // People call it {App}, <but|and|and> {S} {P}. // \
People call it {App}, <but|and|and> {S} {P}.
{Cue}, <but|and|and> {S} {P}.
{Cue}, <but|and> {S} {PP}.
{Cue}, <but|and|and> {S} {C}.
""".strip().splitlines()

#!/usr/bin/env bash
# The examples of the README, by the model that ships. Their transcript is kept:
#     scripts/examples.sh 2> /dev/null > results/examples.txt && python benchmarks/render.py
. "$(dirname "$0")/install.sh" ""
. scripts/show.sh
small=data/models/small

mkdir -p runs
for side in positive negative; do
    awk -F'\t' -v side=$side 'NR > 1 && $2 == side && n++ < 2000 { print $1 }' data/train.tsv > runs/$side.txt
done
show textvae attribute $small --positive runs/positive.txt --negative runs/negative.txt -o runs/sentiment
show textvae index $small data/train.tsv -o runs/reviews --keep topic --keep sentiment
for sentence in "this is the worst pizza i have ever had." "the staff was very rude." \
    "the room is dark and the bed is bad, i will never come back." "parking is a nightmare here." \
    "the flight was late and nobody helped us."; do
    show textvae shift $small "$sentence" --attribute runs/sentiment
done
show textvae search runs/reviews "the headphones hurt my ears" -k 3
show textvae search runs/reviews "the plane left two hours late" -k 3 --where "topic = 'airline'"
show textvae search runs/reviews "the pasta was overcooked" -k 3
piped "my sister bought 17 green umbrellas in copenhagen." textvae reconstruct $small -

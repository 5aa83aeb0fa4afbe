#!/usr/bin/env bash
# The examples of the README, by the model that ships. Their transcript is kept:
#     scripts/examples.sh 2> /dev/null > results/examples.txt && python benchmarks/render.py
. "$(dirname "$0")/install.sh" ""
. scripts/show.sh
english=data/models/english

mkdir -p runs
for side in positive negative; do
    awk -F'\t' -v side=$side 'NR > 1 && $2 == side && n++ < 2000 { print $1 }' data/train.tsv > runs/$side.txt
done
show textvae attribute $english --positive runs/positive.txt --negative runs/negative.txt -o runs/sentiment
show textvae index $english data/train.tsv -o runs/reviews --keep topic --keep sentiment
for sentence in "The room is dark and the bed is bad, I will never come back." \
    "I was disappointed by the sound of these headphones." "The staff was very rude." \
    "This is the worst pizza I have ever had." "Parking is a nightmare here."; do
    show textvae shift $english "$sentence" --attribute runs/sentiment
done
show textvae search runs/reviews "the plane left two hours late" -k 3
show textvae search runs/reviews "the headphones hurt my ears" -k 3
show textvae search runs/reviews "the pasta was overcooked" -k 3 --where "topic = 'restaurant'"
piped "Could you please send me the invoice for order 4471?" textvae reconstruct $english -
show textvae vary $english "Could you please send me the invoice for order 4471?" -n 3 --seed 0
show textvae interpolate $english "The soup was cold." "A man is riding a horse on the beach." -n 5
show textvae sample $english -n 5 --seed 0

#!/usr/bin/env bash
# First the model that ships, on any sentence; then the main job on the corpus that ships: train, embed, index, search,
# sample, interpolate, shift. What was trained stays in runs/demo; a second call goes on from there.
. "$(dirname "$0")/install.sh" ""
. scripts/show.sh
run=runs/demo
column() { awk -F'\t' -v column="$1" -v value="$2" 'NR > 1 && $column == value { print $1 }' data/train.tsv; }

small=data/models/small
mkdir -p runs
column 2 positive > runs/positive.txt
column 2 negative > runs/negative.txt
echo "The waiter was friendly and the food arrived quickly." | show textvae reconstruct $small -
show textvae index $small data/valid.tsv -o runs/small-index --keep topic
show textvae search runs/small-index "the battery of my phone is weak" -k 3
show textvae sample $small -n 5 --seed 0
show textvae vary $small "two dogs are playing in the snow." -n 3 --spread 0.5 --seed 0
show textvae interpolate $small "the soup was cold." "a man is riding a horse on the beach." -n 7
show textvae attribute $small --positive runs/positive.txt --negative runs/negative.txt --name sentiment -o runs/small-sentiment
for sentence in "the staff was very rude." "the room is dark and the bed is bad, i will never come back."; do
    show textvae shift $small "$sentence" --attribute runs/small-sentiment --candidates 32 --explain
done

show textvae train data/train.tsv --valid data/valid.tsv -o $run --resume \
    --size tiny --latent-dim 64 --epochs 3 --beta 0.15 --free-bits 0.2 --schedule constant
show textvae encode $run data/valid.tsv -o $run/valid.npy
show textvae index $run data/train.tsv -o $run/index --keep topic
for query in "The waiter was rude." "The battery of my phone is weak." "I loved this hair salon." \
    "The flight was late." "The novel was gripping."; do
    show textvae search $run/index "$query" -k 3
done
show textvae sample $run -n 10 --seed 0
show textvae interpolate $run "The waiter was friendly." "The laptop will overheat." -n 7

column 3 past > $run/past.txt
column 3 future > $run/future.txt
show textvae attribute $run --positive runs/positive.txt --negative runs/negative.txt --name sentiment -o $run/sentiment
show textvae attribute $run --positive $run/future.txt --negative $run/past.txt --name tense -o $run/tense
for sentence in "The receptionist was rude." "The battery is weak." "The soup at this restaurant tasted bad."; do
    show textvae shift $run "$sentence" --attribute $run/sentiment --candidates 32
done
for sentence in "The receptionist was helpful." "The gym opened at six." "The mechanic repaired the brakes."; do
    show textvae shift $run "$sentence" --attribute $run/tense --candidates 32
done
show textvae shift $run "The receptionist was rude." --attribute $run/sentiment=1 --attribute $run/tense=1 \
    --candidates 32 --explain

echo "Serve it: .venv/bin/pip install -c constraints.txt -e '.[serve]' && .venv/bin/textvae serve --demo"

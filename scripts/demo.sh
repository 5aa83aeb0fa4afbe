#!/usr/bin/env bash
# First the model that ships, on any sentence; then the main job on the corpus that ships: train, embed, index, search,
# sample, interpolate, shift. What was trained stays in runs/demo; a second call goes on from there.
. "$(dirname "$0")/install.sh" ""
. scripts/show.sh
run=runs/demo
# The first 2,000 texts with a value in a column; all 35,000 would take minutes and move the accuracy by a point.
column() { awk -F'\t' -v column="$1" -v value="$2" 'NR > 1 && $column == value && n++ < 2000 { print $1 }' data/train.tsv; }

english=data/models/english
mkdir -p runs
column 2 positive > runs/positive.txt
column 2 negative > runs/negative.txt
piped "Could you please send me the invoice for order 4471?" textvae reconstruct $english -
show textvae index $english data/valid.tsv -o runs/english-index --keep topic
show textvae search runs/english-index "the battery of my phone is weak" -k 3
show textvae sample $english -n 5 --seed 0
show textvae vary $english "Two dogs are playing in the snow." -n 3 --seed 0
show textvae interpolate $english "The soup was cold." "A man is riding a horse on the beach." -n 7
show textvae attribute $english --positive runs/positive.txt --negative runs/negative.txt --name sentiment -o runs/english-sentiment
piped "The staff was very rude.
The room is dark and the bed is bad, I will never come back." textvae shift $english - --attribute runs/english-sentiment --explain

show textvae train data/train.tsv --valid data/valid.tsv -o $run --resume \
    --size tiny --latent-dim 64 --epochs 3 --beta 0.15 --free-bits 0.2 --schedule constant
show textvae encode $run data/valid.tsv -o $run/valid.npy
show textvae index $run data/train.tsv -o $run/index --keep topic
piped "The waiter was rude.
The battery of my phone is weak.
I loved this hair salon.
The flight was late.
The novel was gripping." textvae search $run/index - -k 3
show textvae sample $run -n 10 --seed 0
show textvae interpolate $run "The waiter was friendly." "The laptop will overheat." -n 7

column 3 past > $run/past.txt
column 3 future > $run/future.txt
show textvae attribute $run --positive runs/positive.txt --negative runs/negative.txt --name sentiment -o $run/sentiment
show textvae attribute $run --positive $run/future.txt --negative $run/past.txt --name tense -o $run/tense
piped "The receptionist was rude.
The battery is weak.
The soup at this restaurant tasted bad." textvae shift $run - --attribute $run/sentiment
piped "The receptionist was helpful.
The gym opened at six.
The mechanic repaired the brakes." textvae shift $run - --attribute $run/tense
show textvae shift $run "The receptionist was rude." --attribute $run/sentiment=1 --attribute $run/tense=1 --explain

echo "Serve it: .venv/bin/pip install -c constraints.txt -e '.[serve]' && .venv/bin/textvae serve --demo"

#!/usr/bin/env bash
# The main job on the corpus that ships: train, embed, index, search, sample, interpolate, shift.
# What was trained stays in runs/demo; a second call goes on from there.
. "$(dirname "$0")/install.sh" ""
run=runs/demo

show() {
    printf '\n$'
    for word in "$@"; do
        case $word in *" "*) printf ' "%s"' "$word" ;; *) printf ' %s' "$word" ;; esac
    done
    printf '\n'
    "$@"
}
column() { awk -F'\t' -v column="$1" -v value="$2" 'NR > 1 && $column == value { print $1 }' data/train.tsv; }

show textvae train data/train.tsv --valid data/valid.tsv -o $run --resume \
    --size tiny --latent-dim 64 --epochs 3 --beta 0.15 --free-bits 0.2
show textvae encode $run data/valid.tsv -o $run/valid.npy
show textvae index $run data/train.tsv -o $run/index --keep topic
for query in "The waiter was rude." "The battery of my phone is weak." "I loved this hair salon." \
    "The flight was late." "The novel was gripping."; do
    show textvae search $run/index "$query" -k 3
done
show textvae sample $run -n 10 --seed 0
show textvae interpolate $run "The waiter was friendly." "The laptop will overheat." -n 7

column 2 positive > $run/positive.txt
column 2 negative > $run/negative.txt
column 3 past > $run/past.txt
column 3 future > $run/future.txt
show textvae attribute $run --positive $run/positive.txt --negative $run/negative.txt --name sentiment -o $run/sentiment
show textvae attribute $run --positive $run/future.txt --negative $run/past.txt --name tense -o $run/tense
for sentence in "The receptionist was rude." "The battery is weak." "The soup at this restaurant tasted bad."; do
    show textvae shift $run "$sentence" --attribute $run/sentiment --strength 2
done
for sentence in "The receptionist was helpful." "The gym opened at six." "The mechanic repaired the brakes."; do
    show textvae shift $run "$sentence" --attribute $run/tense --strength 1
done

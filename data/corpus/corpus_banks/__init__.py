"""The phrase banks that ``make_corpus.py`` composes its sentences from."""

from __future__ import annotations

from . import airline, bank, bookshop, garage, gym, headphones, hotel, laptop, phone, restaurant, salon, shoes

TOPICS = (
    airline.TOPIC,
    bank.TOPIC,
    bookshop.TOPIC,
    garage.TOPIC,
    gym.TOPIC,
    headphones.TOPIC,
    hotel.TOPIC,
    laptop.TOPIC,
    phone.TOPIC,
    restaurant.TOPIC,
    salon.TOPIC,
    shoes.TOPIC,
)

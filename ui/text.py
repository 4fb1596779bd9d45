"""Words for what the till tells: one table from a message's id to its condition and what to do about it.

They stand here in English; `tools/words` gathers them for translation (see `core.language`).
"""

import string
from collections.abc import Iterator, Mapping

from core.money import Currency
from core.text import Message
from ui.say import say

# id: (condition, remedy). `{name_minor}` is an amount in the shop's currency, `{fault}` and `{reason}` are put in words.
WORDS: dict[str, tuple[str, str]] = {
    # goods
    "item-not-found": ("Item {code} is not in the catalogue.", "Ask for its price, or type another code."),
    "check-digit-wrong": ("{code} was misread: its check digit is wrong.", "Scan it again, or type it."),
    "code-not-valid": ("This code is damaged or incomplete.", "Scan it again, or type its number."),
    "code-unknown": ("This code is none that the shop sells by.", "Look for another barcode on the item."),
    "code-of-no-item": (
        "This code names no item: it is for a carton, a place or a paper.",
        "Scan the item's own code.",
    ),
    "code-separator-lost": (
        "The scanner lost a part of this code.",
        "Type its number. Tell your technician: the scanner drops separators.",
    ),
    "code-currency": ("The price in this code is in another currency.", "Ask for its price."),
    "code-is-card": (
        "This looks like a payment card's number. It was kept nowhere.",
        "Take payment: cards go into the payment device.",
    ),
    "code-of-merchant": ("This is a code that is paid to.", "Ask for the code that the customer's phone pays with."),
    "codes-glued": ("Two codes came as one: neither was taken.", "Scan them again, one at a time."),
    "wallet-too-early": ("This looks like a phone's payment code.", "Finish the goods and take payment first."),
    "wallet-not-taken": ("This shop does not take payment by this phone's code.", "Take cash or a card."),
    "wallet-like-card": (
        "This payment code could be a card's number: it was not taken.",
        "Have the customer show a new code, or take cash or a card.",
    ),
    "receipt-in-a-sale": ("This is one of our receipts.", "Finish or cancel the open sale first."),
    "scan-garbled": ("The scan came through {fault}.", "Scan it again."),
    "scan-layout-unknown": (
        "This code reads in two ways: the keyboard layout of {device} is not known yet.",
        "Type the code. Have the technician set the scanner's layout.",
    ),
    "item-expired": ("{name} is past its use-by date {use_by} and may not be sold.", "Take it off the shelf."),
    "item-past-best-before": ("{name} is past its best-before date {best_before}.", "Tell the customer."),
    "item-recalled": (
        "{name} was recalled ({recall}): {why}. It may not be sold.",
        "Take it and its lot off the shelf.",
    ),
    "item-lot-recalled": (
        "Lot {lot} of {name} was recalled: {why}.",
        "Look at the lot on the item before you sell it.",
    ),
    "recalled-in-basket": (
        "{name} in line {line} was recalled meanwhile.",
        "Void the line, keep the item, then take payment.",
    ),
    "item-too-old": (
        "{name} is past its best-before date {best_before}.",
        "This shop does not sell it: take it off the shelf.",
    ),
    "item-past-sell-by": ("{name} is past its sell-by date {sell_by}.", "Tell the customer."),
    "item-too-late": (
        "{name} is past its sell-by date {sell_by}.",
        "This shop does not sell it: take it off the shelf.",
    ),
    "serial-twice": ("This very {name} is in the basket already.", "Scan the next item."),
    "item-voided": ("{name} was taken back.", ""),
    "line-not-found": ("There is no such line to change.", "Pick a line that is not struck through."),
    "quantity-not-valid": ("This quantity cannot be sold.", "Type a whole number from 1 to 9999."),
    "quantity-is-weighed": ("A weighed item has no other quantity.", "Void it and weigh it again."),
    "weight-awaited": ("{name} is sold by weight.", "Put it on the scale; Esc leaves it out."),
    "weight-awaited-first": ("An item waits for its weight.", "Put it on the scale; Esc leaves it out."),
    "weight-not-keyed": ("A weight is not typed here: it comes from the scale.", "Put the goods on the scale."),
    "no-weight-awaited": ("Nothing waits for a weight.", "Scan the item, or type its code, first."),
    "weighing-given-up": ("{name} was left out.", ""),
    "scale-overload": ("There is too much on the scale.", "Take some off, and weigh it in two parts."),
    "scale-underload": ("The scale shows less than nothing.", "Empty it, and press its key for zero or for tare."),
    "scale-not-cleared": ("What lies on the scale was sold already.", "Take everything off it first."),
    "quantity-is-one": ("Each of these has a serial number of its own.", "Scan each one, or void the line."),
    "too-many-lines": ("A basket holds {lines} lines at most.", "Take payment, then begin another sale."),
    "scan-while-paying": ("The customer is paying: nothing was added.", "Finish or stop the payment first."),
    # prices
    "coupon-taken": ("Coupon taken: {reason}.", ""),
    "coupon-waits": ("Coupon taken: {reason}.", "It pays off once the goods that it asks for are in the basket."),
    "coupon-not-known": ("No promotion is known for this coupon.", "Give it back, or look at its date and shop."),
    "coupon-not-valid": ("The coupon for {reason} does not hold now.", "Look at its dates and hours."),
    "coupon-used": ("This coupon for {reason} was used before.", "Keep it: it may be a copy."),
    "coupon-twice": ("The coupon for {reason} is in this basket already.", "One counts for each sale."),
    "discount-given": ("Discount: {reason}.", ""),
    "discount-withdrawn": ("The discount was taken back.", ""),
    "discount-not-valid": (
        "This discount cannot be given.",
        "Give up to 100 percent, or an amount above zero, and not both.",
    ),
    "no-discount-given": ("There is no discount to take back.", ""),
    "not-discountable": ("{name} has no discount, by the shop's rules.", ""),
    "reason-needed": ("A reason is needed.", "Type why: the receipt says it."),
    "price-overridden": ("{name} costs {price_minor} now.", ""),
    "price-not-valid": ("A price is zero or more.", "Type the price for one unit again."),
    "price-over-limit": ("A price above {amount_minor} is not taken.", "Type the price for one unit again."),
    "tax-exempted": ("No tax on this sale: {reason}.", ""),
    "tax-exemption-withdrawn": ("The tax is charged again.", ""),
    "item-known": ("{name} is known already.", "Scan it; for another price ask a supervisor."),
    "item-provided": ("{name} was added at the counter.", ""),
    "name-not-valid": (
        "A name has 1 to 100 letters, and no card's number.",
        "Type the name as the receipt shall say it.",
    ),
    "tax-not-known": ("The tax must be one of {codes}.", "Type its code."),
    # what is asked
    "price-unusual": ("{price_minor} is far from the usual {usual_minor} for {name}.", "Confirm it, or type it again."),
    "quantity-unusual": ("{quantity} of {name} is far more than the usual {usual}.", "Confirm it, or type it again."),
    "age-asked": ("{name} is for customers of {age} years or older.", "Ask for a proof of age, then answer with F4."),
    "age-not-reached": ("{name} may not be sold: the customer is not {age} years old.", "Take it back."),
    "quantity-asked": ("How much of {name} is it, in {measure}?", "Measure it, then type it with F4."),
    "price-asked": ("{name} has no price of its own.", "Type the price for one with F4."),
    "answer-first": ("An item waits for an answer.", "Answer with F4, or leave it out with Esc."),
    "held-given-up": ("{name} was not added.", ""),
    "nothing-asked": ("Nothing waits for an answer.", ""),
    "price-is": ("{name} costs {price_minor} ({unit}).", ""),
    "price-and-stock": ("{name} costs {price_minor} ({unit}). {left} left on the shelf.", ""),
    "deposit-not-found": ("The deposit of {name} is not in the catalogue.", "Tell whoever keeps the catalogue."),
    "deposit-given-back": ("Deposit given back: {amount_minor}.", ""),
    "no-deposit": ("There is no deposit on this.", "Scan the bottle or the crate, not its label."),
    "line-is-deposit": ("A deposit goes with its goods.", "Change the line of the goods, or void it."),
    # the sale
    "no-open-sale": ("No sale is open.", "Scan the first item."),
    "terminal-locked": ("Headquarters keeps this till from selling ({text}).", "Call headquarters."),
    "headquarters-at-work": ("Headquarters changes something at this till.", "Wait a moment, then go on."),
    "headquarters-says": ("Headquarters says: '{text}'.", "Say in the menu that you have read it."),
    "identified": ("Headquarters asks for this till: it is {terminal}.", ""),
    "no-note": ("Headquarters has said nothing that is unread.", ""),
    "note-seen": ("Headquarters' message is read.", ""),
    "disk-full": (
        "The memory card is full: no new sale can begin.",
        "Call your technician. Nothing was lost, and it goes on when there is room.",
    ),
    "key-not-valid": ("The program that sent this gave it a key that cannot be kept.", "Use a UUID as the key."),
    "already-done": ("This was done already.", ""),
    "double-read": ("The same code came twice at once: it counts once.", ""),
    "disk-low": ("The memory card is nearly full.", "Call your technician this week."),
    "nothing-due": ("Nothing is due.", "Scan an item first."),
    "partly-paid": ("Part of this sale is paid: its lines are fixed.", "Take the rest, or cancel it with Esc."),
    # goods that come back
    "return-begun": ("Receipt {number} of {day}.", "Choose what comes back."),
    "returned": ("{name} comes back: {amount_minor}.", ""),
    "return-which": ("Which receipt is it?", "Scan the receipt, or type its number."),
    "receipt-of-other-till": ("This receipt is from {terminal}.", "Take the goods back there, or ask a supervisor."),
    "receipt-other-currency": ("This receipt is in {currency}.", "Ask a supervisor."),
    "history-not-ready": ("Older sales cannot be looked up now.", "Try again in a minute."),
    "return-line-not-found": ("This receipt has no line {line} that can come back.", "Look at its lines."),
    "line-refunded": ("{name} came back before: its money was given back.", "Look at the receipt's other lines."),
    "return-too-many": ("Of {name} only {left} can still come back.", "Type another quantity."),
    "return-of-nothing": ("Nothing was sold with receipt {number}.", "Look at its number."),
    "return-item-not-known": ("The catalogue does not have this.", "Scan the item itself."),
    "return-price-too-high": ("It is worth {amount_minor} at most.", "Type this price, or a lower one."),
    "return-over-limit": ("Without a receipt no more than {amount_minor} is given back.", "Ask for the receipt."),
    "return-exempt-alone": (
        "Sales with and without tax do not come back together.",
        "Finish the one, then begin the other.",
    ),
    "return-not-parked": ("A basket with goods that come back is not put aside.", "Finish it, or cancel it with Esc."),
    "line-is-return": ("A line that comes back is not changed.", "Void it and take it back anew."),
    "too-many-receipts": ("A basket takes back from {receipts} receipts at most.", "Finish it, then begin another."),
    "transaction-refunded": ("All of receipt {number} came back before, or a part of it.", "Nothing more is due."),
    "transaction-voided": ("Receipt {number} was made undone before.", "Nothing more is due."),
    "nothing-to-void": ("There is no finished transaction to undo.", "Say its number."),
    "void-begun": (
        "Transaction {number} is made undone.",
        "Give {amount_minor} back, with Cash or Card; Esc leaves it.",
    ),
    "void-in-hand": ("A transaction is being made undone.", "Give its money back, or leave it with Esc."),
    "void-of-return": ("Transaction {number} gave money back: it stays.", "Sell the goods again."),
    "void-other-day": ("Transaction {number} is of {day}.", "Take its goods back by the receipt."),
    # gift cards
    "code-of-no-gift-card": ("This is no gift card's number.", "Swipe the card, or type the number that is on it."),
    "gift-card-not-sold": ("This shop sells no gift cards.", "Ask your technician to configure [gift_cards]."),
    "gift-card-too-much": ("A gift card is sold with {amount_minor} at most.", "Type a smaller amount."),
    "gift-card-amount": ("Gift cards are sold with {amounts}.", "Type one of these amounts."),
    "gift-card-awaited": (
        "A gift card is sold with {amount_minor}.",
        "Swipe or scan it, or type its number. Esc leaves it.",
    ),
    "gift-card-first": (
        "The gift card for {amount_minor} has not been shown.",
        "Swipe or scan it, or type its number. Esc leaves it.",
    ),
    "gift-card-awaited-first": (
        "A gift card that is to be sold has not been shown.",
        "Swipe or scan it, or type its number. Esc leaves it.",
    ),
    "gift-card-looked-up": ("Gift card {card} is being looked up.", ""),
    "gift-card-added": ("Gift card {card} is sold with {amount_minor}.", "It is good once the sale is paid for."),
    "gift-card-twice": ("This gift card is in the basket already.", "Take another one, or void its line first."),
    "gift-card-not-usable": ("This gift card cannot be sold: {reason}.", "Take another one, or leave it with Esc."),
    "gift-card-given-up": ("No gift card is sold.", ""),
    "gift-card-voided": ("Gift card {card} is not sold.", ""),
    "gift-card-good": ("Gift card {card} is good: there is {amount_minor} on it.", ""),
    "gift-card-not-good": (
        "There is no money on gift card {card}: {reason}.",
        "Take it back by receipt {number} and pay its money out, or sell it again.",
    ),
    "gift-card-unknown": (
        "The payment device does not say what is on gift card {card}.",
        "It is being asked, and nothing is sent twice.",
    ),
    "gift-card-balance": ("There is {amount_minor} on gift card {card}.", ""),
    "gift-card-balance-untold": ("Nobody can say what is on gift card {card}: {reason}.", "Look at it again later."),
    "gift-card-declined": ("The gift card did not pay: {reason}.", "Look at what is on it, or take cash or a card."),
    "gift-card-payment-unknown": (
        "The payment device does not say whether the gift card has paid.",
        "It is being asked. Do not swipe it again; Esc goes on without this payment.",
    ),
    "gift-card-payment-set-aside": (
        "The sale goes on without the gift card's {amount_minor}.",
        "Should the gift card have paid, it gets the money back by itself.",
    ),
    "gift-card-buys-none": ("No gift card is bought with another.", "Take cash or a card for it."),
    "gift-card-not-parked": (
        "A basket with a gift card in it is not put aside.",
        "Finish it, or void the gift card's line first.",
    ),
    "gift-card-emptying": ("The money is being taken off gift card {card}.", "Wait for the payment device."),
    "gift-card-pending": (
        "The payment device is taking back what is on a gift card.",
        "Wait for its answer; if there is none, Esc leaves it.",
    ),
    "gift-card-emptied": (
        "Gift card {card} is worth {amount_minor} less.",
        "Give that money back: to the card that paid, else in cash.",
    ),
    "gift-card-not-emptied": (
        "Gift card {card} keeps its money: {reason}.",
        "It comes back only as long as nothing has been bought with it.",
    ),
    "gift-card-set-aside": (
        "Gift card {card} stays as it is for now; give none of the {amount_minor} back.",
        "The payment device is asked on. Take the card back again when it has told.",
    ),
    "gift-card-emptied-late": (
        "The money has been taken off gift card {card} after all.",
        "Take it back again by receipt {number}: then its money is given.",
    ),
    "gift-card-kept": ("Gift card {card} keeps its money.", ""),
    "gift-card-taken-back": (
        "The money has been taken off the gift card already: this is not undone.",
        "Finish it: give the money back.",
    ),
    "gift-card-none-sold": ("Receipt {number} sold no such gift card.", "Look at the receipt."),
    "gift-card-refunded": ("Gift card {card} has come back before.", "Nothing more is due."),
    "gift-card-no-cash-out": (
        "What is left on a gift card is not paid out here.",
        "Ask your technician for [gift_cards] cash_out_minor_max.",
    ),
    "gift-card-cash-out-awaited": (
        "What is left on a gift card is paid out.",
        "Swipe or scan it, or type its number. Esc leaves it.",
    ),
    "gift-card-not-read": ("This gift card cannot be paid out: {reason}.", "Leave it with Esc."),
    "gift-card-empty": ("There is nothing on gift card {card}.", "Leave it with Esc."),
    "gift-card-too-much-left": (
        "There is {balance_minor} on gift card {card}, and {amount_minor} is paid out at most.",
        "It can be bought with. Leave it with Esc.",
    ),
    "gift-card-cashed-late": (
        "The rest of gift card {card} is off it after all: {amount_minor}.",
        "Pay it out of the till to the customer, with this as the reason.",
    ),
    "gift-card-one-by-one": ("Gift cards come back one by one.", "Choose one of them, then the next."),
    "gift-card-which": ("Receipt {number} sold several gift cards.", "Choose one of them."),
    "gift-card-still-unknown": (
        "The payment device has not said yet what is on gift card {card}.",
        "Wait until it has told.",
    ),
    "void-of-gift-cards": (
        "Transaction {number} sold several gift cards: it is not voided at once.",
        "Take each gift card back by the receipt, and then its goods.",
    ),
    "voucher-not-known": ("This is no voucher of the shop.", "Look at it, and give it back."),
    "voucher-used": ("This voucher was used before.", "Keep it: it may be a copy."),
    "voucher-too-much": (
        "The voucher is worth {amount_minor}, and only {due_minor} is due.",
        "Sell more, or take another tender: no change is given on it.",
    ),
    "no-accounts": ("Nobody sells on account here.", "Take cash or a card."),
    "account-of-nobody": ("Whose account is it?", "Let the customer show his card or tag first."),
    "account-over-limit": ("This account takes {amount_minor} more at most.", "Take the rest in cash or by card."),
    "tender-over-due": ("Card, account and voucher pay {amount_minor} at most: no more is due.", ""),
    "refund-to-account": ("{amount_minor} goes back to the account first.", "Press F5, then On account."),
    "no-account-to-credit": ("These goods were not charged to an account.", "Give cash, or press Card."),
    "refund-to-card": ("{amount_minor} goes back to the card first.", "Press Card."),
    "refund-over-owed": ("No more than {amount_minor} is given back.", "Type the amount again."),
    "no-card-to-refund": ("No card paid for these goods, or it takes nothing back.", "Give cash."),
    "still-owed": ("{amount_minor} is still to be given back.", "Give it in cash, or to the card."),
    "refund-completed": ("{amount_minor} was given back.", ""),
    "refund-declined": ("The card takes nothing back: {reason}.", "Try again, or give cash."),
    "refund-unknown": (
        "The payment device does not say whether the money went back.",
        "It is being asked. Do not give it again; Esc counts it as given.",
    ),
    "refund-set-aside": ("{amount_minor} counts as given back to the card.", "You are told if it was not."),
    "refund-not-made": (
        "{amount_minor} did not go back to the customer's card.",
        "Give it in cash, and note it as paid out.",
    ),
    "refund-given": ("Money was given back already: this cannot be cancelled.", "Finish it."),
    # parked baskets
    "sale-parked": ("The basket was put aside as {name}.", ""),
    "sale-resumed": ("Basket {name} goes on.", ""),
    "sale-resumed-prices": ("Basket {name} goes on.", "Prices have changed since: tell the customer."),
    "sale-resumed-struck": (
        "Basket {name} goes on without {item}: {count} may not be sold any more.",
        "Take what is struck out back.",
    ),
    "nothing-to-park": ("There is nothing in the basket to put aside.", "Cancel it with Esc."),
    "nothing-parked": ("No basket was put aside.", "Scan the first item."),
    "parked-which": ("Several baskets were put aside.", "Say which one, by its name or number."),
    "parked-not-found": ("No basket was put aside under this name or number.", "Look at the list of them."),
    "parked-name-taken": ("Another basket was put aside as {name}.", "Give this one another name."),
    "too-many-parked": ("{baskets} baskets are put aside already.", "Finish or cancel one of them first."),
    "sale-cancelled": ("The basket was given up.", ""),
    "sale-cancelled-return": ("The basket was given up.", "Give {amount_minor} in cash back."),
    "sale-completed": ("Paid. Change {change_minor}.", ""),
    "still-due": ("{amount_minor} is still due.", "Take cash or a card for it."),
    "amount-not-positive": ("An amount above zero is needed.", ""),
    "amount-over-due": ("A card pays {amount_minor} at most: no more is due.", ""),
    "amount-too-large": ("More than {amount_minor} in cash is not taken at once.", "Type the amount again."),
    "customer-identified": ("The customer's card was recognised.", ""),
    "customer-not-known": ("This tag belongs to no customer.", "Go on without it."),
    "tag-torn": ("The tag was taken away too early.", "Hold it to the reader until it beeps."),
    "card-is-payment": ("This is a payment card: its number was not kept.", "Use the payment device."),
    "card-encrypted": ("The reader encrypts this card: it cannot be taken here.", "Use the payment device."),
    "card-unknown": (
        "The shop takes no card of this kind (its last digits: {last}).",
        "Look at the card; go on without it.",
    ),
    "card-not-ours": ("This card is none of the shop's.", "A payment card belongs into the payment device."),
    "card-garbled": (
        "The card could not be read ({fault}, track {track}).",
        "Swipe it again, evenly; leave a chip in until it is recognised.",
    ),
    # the till's own day
    "till-closed": ("The till is closed: nothing is sold.", "Open it with its float."),
    "till-open": ("The till is open already, for {business_day}.", "Count and close it first."),
    "till-opened": ("The till is open for {business_day}, with {amount_minor}.", ""),
    "till-counting": ("The till is being counted: nothing is sold.", "Finish the count and close, or give it up."),
    "not-counting": ("The till is not being counted.", ""),
    "count-begun": ("Count the drawer.", "Type what is in it, by coins and notes or in one amount."),
    "count-begun-parked": (
        "Count the drawer. Put aside still: {names}.",
        "Type what is in it; or stop the count and see to what is put aside.",
    ),
    "count-given-up": ("The count was given up: the till sells on.", ""),
    "till-counted": ("Counted: {amount_minor}.", "Count again where it is wrong; else close the till."),
    "till-not-counted": ("The till has not been counted.", "Count the drawer, then close."),
    "till-settled": ("Closed, Z report {number}. Over or short: {over_short_minor}.", ""),
    "closing-forgotten": (
        "The till is still open for {business_day}: its closing was forgotten.",
        "Count and close it; then open it for today.",
    ),
    "day-closed": (
        "Business day {business_day} is closed: nothing more is sold on it.",
        "Open the till tomorrow. A supervisor may name another day.",
    ),
    "date-not-confirmed": (
        "The clock cannot vouch for the date: is it {business_day}?",
        "Have a supervisor say which business day it is.",
    ),
    "day-confirmed": ("The next opening is for {business_day}.", "Open the till."),
    "date-not-valid": ("This is no date that fits.", "Type it as 2026-11-24; not a later one than today."),
    "payments-open": (
        "{count} card payments of {amount_minor} in all are not settled.",
        "See to the payment device, or close without them: they are settled later.",
    ),
    "baskets-parked": (
        "Put aside still: {names}.",
        "Stop the count and see to them, or have a supervisor close over them.",
    ),
    "cash-loan": ("Brought into the till: {amount_minor}.", ""),
    "cash-pickup": ("Taken out of the till: {amount_minor}.", ""),
    "cash-paid-in": ("Paid in: {amount_minor}.", ""),
    "cash-paid-out": ("Paid out: {amount_minor}.", ""),
    "cash-deposit": ("Deposited in the safe: {amount_minor}.", ""),
    "amount-negative": ("An amount is not below zero.", "Type the amount again."),
    "count-not-valid": ("This count cannot be: each coin or note once, and not less than none.", "Count again."),
    "count-not-the-amount": ("Coins and notes come to {amount_minor}, which is not the amount.", "Count again."),
    "reason-not-valid": ("A reason has up to 100 letters, and no card's number.", "Type it again."),
    "x-reported": ("Here is how the till stands.", ""),
    "z-reported": ("Here is Z report {number}.", ""),
    "z-copied": ("Copy {copy} of Z report {number}.", ""),
    "no-z-report": ("There is no Z report yet.", "Count and close the till first."),
    "report-not-printed": ("The report may not be on paper.", "See to the printer, then ask for it again."),
    "reconciliation-agrees": ("The payment device counted the same as the till.", ""),
    "reconciliation-differs": (
        "The payment device counted {difference_minor} more or less than the till.",
        "Close all the same, and tell whoever keeps the books.",
    ),
    "reconciliation-missing": (
        "The payment device did not end its day: {fault}.",
        "Close all the same; it is asked again with the next count.",
    ),
    "paper-begun": ("The sale of {written} written by hand, number {paper}.", "Enter its items, then its cash."),
    "paper-number-not-valid": ("A number of up to 40 signs is needed, and no card's.", "Type what is on the paper."),
    "paper-entered": ("The sale with number {paper} was entered already.", "Put the paper away."),
    "paper-sale-is-cash": ("A sale written by hand is entered as cash.", "Charge no card again."),
    # who works here
    "sign-on-needed": ("Nobody is signed on.", "Sign on first."),
    "till-locked": ("The till is locked by operator {operator}.", "Sign on again; an open basket is still there."),
    "not-allowed": ("Nobody may do this here.", "Call your technician."),
    "key-locked": ("The key lock is locked: the till takes nothing.", "Turn the key."),
    "key-needed": ("This takes the supervisor's key.", "Have it put in and turned."),
    "supervisor-needed": ("This takes a supervisor.", "Have one approve it with his PIN, or sign on."),
    "role-needed": ("This takes another role: {role}.", "Have somebody with it sign on."),
    "approver-may-not": ("Operator {operator} may not allow this.", "Ask a supervisor."),
    "signed-on": ("Operator {operator} is signed on.", ""),
    "signed-off": ("Operator {operator} is signed off.", ""),
    "pin-needed": ("Operator {operator}, now the PIN.", "Type it."),
    "pin-wrong": (
        "Wrong PIN or operator. Tries left: {tries}.",
        "Type it again with care: after the last try it is locked.",
    ),
    "operator-not-known": ("Wrong PIN or operator.", "Type both again with care."),
    "operator-locked": (
        "Operator {operator} is locked for {minutes} minutes.",
        "Wait, or ask a supervisor to lift it.",
    ),
    "badge-not-known": ("This badge is nobody's.", "Sign on with your PIN. A supervisor can give you the badge."),
    "basket-of-other": ("The open basket is operator {operator}'s.", "Have him sign on, or a supervisor take it over."),
    "sale-open": ("A sale is open.", "Finish it, put it aside or cancel it first, or lock the till."),
    "nobody-signed-on": ("Nobody is signed on.", "Nothing."),
    "no-operators": ("Nobody signs on at this till.", "Add the table [operators] to the configuration."),
    "training-begun": ("This is training now: nothing is really sold.", "End it before you sell."),
    "training-ended": ("Training is over: what is sold is sold.", ""),
    "training-mode": ("TRAINING: nothing is really sold.", "A supervisor ends it before you sell."),
    "training-already": ("This is training already.", "Go on."),
    "no-training": ("There is no training now.", "Go on."),
    "not-in-training": ("Not in training: this is about real money or paper.", "End training first."),
    "badge-given": ("This badge is operator {operator}'s now.", ""),
    "owner-wanted": (
        "Whoever stands here may become the till's owner: claim {claim}.",
        "Type it here, then a number of your choice to sign on with, and your PIN.",
    ),
    "pins-differ": ("The two PINs are not the same.", "Type both again."),
    "already-claimed": ("This till has an owner already.", "Sign on; a supervisor makes other operators."),
    "no-recovery-key": (
        "This terminal knows no recovery key of the organisation.",
        "Have [keys] recovery_key set, or ask headquarters for the order open-claim.",
    ),
    "no-recovery-request": ("There is no request that this would be the answer to.", "Begin anew without a code."),
    "recovery-code-wrong": (
        "This is not the answer to the request.",
        "Read it again; five wrong ones end the request.",
    ),
    "claim-wrong": ("The claim is wrong.", "Type what stands on the screen."),
    "operator-id-not-valid": ("This is no operator's number.", "Take one to eight letters, digits or '-'."),
    "operator-exists": (
        "There is, or was, an operator of this number.",
        "Take another number: records name him by it.",
    ),
    "too-many-operators": ("There are too many operators.", "Remove those who have left."),
    "no-such-operator": ("There is no operator of this number.", "Look at the list of operators."),
    "last-supervisor": ("This is the last supervisor.", "Make another one first."),
    "new-pin-needed": ("This role needs a longer PIN.", "Give a new PIN with the role."),
    "pin-not-good": ("This PIN cannot be taken: {why}.", "Take another one."),
    "badge-of-other": ("This badge is another operator's.", "Take another badge, or remove its owner."),
    "operator-changed": ("Operator {operator} is changed.", ""),
    "staff-card-not-taken": ("This is a staff card: it opens nothing here yet.", "Go on without it."),
    # cards
    "payment-pending": ("A card is being paid.", "Wait for the payment device, or stop it with Esc."),
    "wallet-pending": (
        "A phone is paying.",
        "Have the customer confirm on the phone, or stop it with Esc.",
    ),
    "wallet-stopping": ("The phone's payment is being stopped.", "Wait for the payment device's answer."),
    "payment-stopping": ("The card payment is being stopped.", "Wait for the payment device's answer."),
    "payment-declined": ("The card did not pay: {reason}.", "Try another card, or take cash."),
    "wallet-declined": (
        "The phone did not pay: {reason}.",
        "Have the customer show a new code, or take cash or a card.",
    ),
    "wallet-unknown": (
        "The payment device does not say whether the phone has paid.",
        "It is being asked. Scan no code again; Esc goes on without this payment.",
    ),
    "payment-unknown": (
        "The payment device does not say whether the card has paid.",
        "It is being asked. Do not charge again; Esc goes on without this payment.",
    ),
    "payment-resolved": ("The card payment is settled.", ""),
    "payment-no-device": ("No payment device answers.", "Check its cable and power, or take cash."),
    "payment-reversing": ("The money is being given back.", "Wait for the payment device."),
    "reversal-unanswered": (
        "The payment device has not confirmed that the money went back.",
        "It is asked again; Esc leaves it to the till.",
    ),
    "payment-set-aside": (
        "The sale goes on without the card's {amount_minor}.",
        "Should the card have paid, it gets the money back by itself.",
    ),
    "wallet-set-aside": (
        "The sale goes on without the phone's {amount_minor}.",
        "Should the phone have paid, it gets the money back by itself.",
    ),
    "payment-settled-none": ("The open payment of {amount_minor} had charged nothing.", ""),
    "payment-settled-returned": ("The open payment of {amount_minor} was given back.", ""),
    # papers and drawer
    "receipt-waiting": ("The receipt waits for the printer.", "It is printed as soon as the printer is ready."),
    "nothing-to-reprint": ("There is no receipt to print again.", ""),
    "receipt-not-found": ("There is no receipt {number} on this till.", "Look at the number on the paper."),
    "receipt-not-looked-up": (
        "Receipt {number} could not be looked up in time.",
        "Try again when the till is less busy.",
    ),
    "invoice-ordered": (
        "The invoice for receipt {number} is printed.",
        "One paper is the buyer's, one is for the books.",
    ),
    "invoice-torn": (
        "The invoice for receipt {number} may not be on paper.",
        "See to the printer, then order it again.",
    ),
    "buyer-not-valid": ("This is no buyer's name and address.", "Type the name, and up to four lines of address."),
    "copy-not-printed": ("The copy was not printed.", "See to the printer, then press Reprint again."),
    "printer-paper-out": ("The printer is out of paper.", "Put in a new roll; the receipt is printed then."),
    "printer-paper-low": ("The printer's paper is nearly used up.", "Have a new roll ready."),
    "printer-cover-open": ("The printer's cover is open.", "Close it; the receipt is printed then."),
    "printer-offline": ("The printer is offline.", "Press its feed button, or switch it off and on."),
    "drawer-left-open": ("The drawer has been open for {seconds} seconds.", "Close it."),
    "drawer-open": ("The drawer is open: no new sale can begin.", "Close it."),
    "drawer-found-open": ("The drawer was opened while the till was off.", "Close it, and count it."),
    "drawer-opened-by-hand": ("The drawer was opened without an order.", ""),
    "drawer-stuck": ("The drawer does not open: {fault}.", "Open it with its key, and call your technician."),
    # devices
    "device-new": ("A new device is plugged in and works: {device}.", ""),
    "device-lost": ("The {device} does not answer: {fault}.", "Check its cable and power; it comes back by itself."),
    "device-unfit": ("The {device} cannot be used: {fault}.", "Go on without it, and call your technician."),
    "device-not-known": ("There is no device named {device}.", "See the list of devices for its name."),
    "device-not-recorded": ("What passes through {device} is not kept: cards or tags may be in it.", ""),
    "device-gone": ("The {device} is gone.", "Check its cable and power; it comes back by itself."),
    "device-back": ("The {device} is back.", ""),
    "power-weak": (
        "The terminal's power is too weak: no payment can begin.",
        "Use the terminal's own power supply. The basket stays.",
    ),
    "power-back": ("The power is strong enough again.", "Go on with the payment."),
    "case-opened": (
        "The terminal's case was opened: it does not sell.",
        "Call headquarters: their signed order releases it. No sale was lost.",
    ),
    # the second medium
    "sales-at-risk": ("{sales} on this terminal only.", "Plug in the stick, or see to the network."),
    "mirror-absent": ("The stick is not plugged in.", "Plug it in: sales are on this terminal only until then."),
    "mirror-slow": ("The stick is slow.", "Sales go on and reach it later. Replace it when this comes often."),
    "mirror-stuck": ("The stick does not answer any more.", "Pull it out, wait five seconds, plug it in again."),
    "mirror-full": ("The stick is full: new sales are on this terminal only.", "Plug in an empty stick."),
    "mirror-read-only": ("The stick cannot be written.", "Plug in another one."),
    "mirror-failed": ("The stick has failed: sales are on this terminal only.", "Plug in another one."),
    "mirror-foreign": (
        "This stick holds the sales of another terminal. It was not touched.",
        "Plug in this terminal's own stick, or an empty one.",
    ),
    "mirror-ahead": (
        "This stick holds sales that this terminal does not have. It was not touched.",
        "Keep the stick and call your technician.",
    ),
    "mirror-lied": ("The stick has lost what it had taken.", "Throw it away and plug in another one."),
    "mirror-sealless": (
        "The stick is not used: no recovery key is set.",
        "Call your technician to set the organisation's recovery key.",
    ),
    # backups
    "backup-no-room": ("The medium for backups is full.", "Plug in a larger or an empty one. Sales go on."),
    "backup-read-only": ("The medium for backups cannot be written.", "Plug in another one. Sales go on."),
    "backup-target-lost": ("The medium for backups was pulled out or failed.", "Plug it in again. Sales go on."),
    "backup-too-slow": ("The medium for backups is too slow.", "Plug in another one. Sales go on."),
    "backup-unfit": ("The backup that was written is not whole.", "Plug in another medium. Sales go on."),
    "backup-failed": ("No backup could be made.", "Call your technician. Sales go on."),
    "backup-overdue": ("The last backup is {hours} hours old.", "Plug in the medium for backups."),
    "claim-code": (
        "Headquarters does not know this terminal yet: its claim code is {code}.",
        "Read the code to headquarters. Sales go on and are kept.",
    ),
    "enrol-refused": (
        "Headquarters does not take this terminal.",
        "Sell on, and call your technician: sales are kept until it does.",
    ),
    "records-due": ("Sales from before the restore are still to come back.", "Nothing: headquarters sends them."),
    # the terminal itself
    "journal-rollback": (
        "The journal is an older one: its newest records are missing.",
        "Sell on, and call your technician.",
    ),
    "journal-fork": ("The journal is not the one that was known before.", "Sell on, and call your technician."),
    "journal-copied": (
        "The journal was moved from another card or another till.",
        "Sell on. Call your technician if a second till runs with its copy.",
    ),
    "journal-anchor": ("What guards the journal's end was lost or replaced.", "Sell on, and call your technician."),
    "journal-behind": (
        "Headquarters has sales of this till that its journal has not.",
        "Sell on, and call your technician.",
    ),
    "journal-unanchored": ("The journal's end cannot be guarded on this card.", "Sell on, and call your technician."),
    "journal-not-whole": (
        "A check found a fault in the journal at record {record} ({kind}).",
        "Sell on, and call your technician.",
    ),
    "clock-doubtful": ("The clock is not right.", "Sell on. Connect the till to the network, or set its clock."),
    "till-stopping": ("The till is being switched off.", "Wait until it is back, then try again."),
    "peer-not-allowed": ("This program's user may not use the till.", "Add the user to the till's group."),
    "too-many-clients": ("Too many screens are connected.", "Close one of them."),
    "order-lost": ("The till did not answer in time.", "Look whether it was done before you try again."),
    "order-failed": ("The till could not do that ({code}).", "Try again, or call your technician."),
    "please-wait": ("The till is busy.", "Wait a moment, then try again."),
}

# Parameters that are codes themselves: faults of scans and devices, reasons of a payment device.
_CODES = {
    "kg": "per kg",
    "l": "per l",
    "m": "per m",
    "each": "each",
    "torn": "cut off",
    "overlong": "without an end",
    "binary": "as noise",
    "device": "it failed",
    "drawer-shut": "it was told to, and its sensor saw nothing",
    "device-absent": "it is not plugged in",
    "device-gone": "its connection was lost",
    "device-denied": "it may not be opened",
    "device-busy": "another program uses it",
    "device-stalled": "it is stuck",
    "device-protocol": "it is set to something else than the till",
    "library-missing": "a part of the till's software is missing",
    "paper-out": "it is out of paper",
    "cover-open": "its cover is open",
    "printer-offline": "it is offline",
    "printer": "it reports an error",
    "print-interrupted": "it stopped in the middle of a paper",
    "aborted": "it was stopped",
    "busy": "the device was busy",
    "cancelled": "the customer stopped it",
    "card-left-in": "another card is still in the device",
    "declined": "it was declined",
    "device-out": "the device is out of service",
    "device-unavailable": "the device is not ready",
    "host-unreachable": "the bank cannot be reached",
    "invalid-card": "the card is not valid",
    "logged-out": "the device had to log in again",
    "message-format": "the device did not understand",
    "no-answer": "the payment device has not answered",
    "no-device": "there is no payment device",
    "not-allowed": "the device does not allow it",
    "not-connected": "the device is not connected",
    "not-found": "the device knows of no payment",
    "payment-restriction": "the card may not pay for this",
    "training": "this is training",
    "service-unavailable": "the device does not offer it",
    "wrong-pin": "the PIN was wrong",
}
_CODE_PARAMS = {"fault", "reason", "unit"}


def words(message: Message, currency: Currency) -> str:
    """A message for people: what is the matter and, where there is something to do, what to do."""
    return " ".join(part for part in parts(message, currency) if part)


def parts(message: Message, currency: Currency) -> tuple[str, str]:
    """The same in two: the condition, and the remedy or an empty string."""
    template = WORDS.get(message.id)
    if template is None:
        return _fallback(message, currency)
    values = _Values(message.params, currency)
    condition, remedy = (string.Formatter().vformat(say(part), (), values) for part in template)
    return condition, remedy


def plain(text: str) -> str:
    """A text from outside without anything that would steer a terminal."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "\N{MIDDLE DOT}" for char in text)


class _Values(Mapping[str, str]):
    """A message's parameters in words; one that is missing reads as a dash."""

    def __init__(self, params: Mapping[str, str | int], currency: Currency) -> None:
        self._params = params
        self._currency = currency

    def __getitem__(self, name: str) -> str:
        value = self._params.get(name, "\N{EN DASH}")
        if name.endswith("_minor") and isinstance(value, int):
            return self._currency.format(value)
        if name in _CODE_PARAMS:
            return say(_CODES[str(value)]) if str(value) in _CODES else plain(str(value))
        return plain(str(value))

    def __iter__(self) -> Iterator[str]:
        return iter(self._params)

    def __len__(self) -> int:
        return len(self._params)


def _fallback(message: Message, currency: Currency) -> tuple[str, str]:
    """An id without words, made readable: ``Lid ajar (door 3)``."""
    values = _Values(message.params, currency)
    name = plain(message.id).replace("-", " ").capitalize() or "Notice"
    facts = ", ".join(f"{plain(key).removesuffix('_minor')} {values[key]}" for key in values)
    return (f"{name} ({facts})." if facts else f"{name}."), ""

-- In which finished transactions something of a finished one came back, or all of it was made undone.
CREATE TABLE sale_link (
    epoch  TEXT NOT NULL,
    number INTEGER NOT NULL,
    sale   INTEGER NOT NULL,
    PRIMARY KEY (epoch, number, sale)
) STRICT, WITHOUT ROWID;

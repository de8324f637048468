-- Code that does not know the column goes on: it may be NULL.
ALTER TABLE entry ADD COLUMN written_at TEXT;
CREATE TRIGGER entry_written_at AFTER INSERT ON entry BEGIN
    UPDATE entry SET written_at = CURRENT_TIMESTAMP WHERE id = NEW.id;
END;

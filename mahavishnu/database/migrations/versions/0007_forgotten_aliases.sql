-- Ids that led to a memory when it was forgotten: `aliases` loses them with the memory.

ALTER TABLE forgotten_memories ADD COLUMN aliases uuid[];

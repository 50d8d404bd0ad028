"""From records to figures, tables and one page. Reads results folders only, and works on records made elsewhere."""

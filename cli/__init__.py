"""What a person types and sees: commands, tables, pictures. No algorithm lives here."""

# The SQL migrations are embedded by an assembler directive, which the compiler's dependency files do not see.
$(BUILD)/obj/broker/projections/oplog_migrations.o: $(wildcard sql/migrations/*.sql)

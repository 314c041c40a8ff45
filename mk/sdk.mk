# libescrow: one self-contained static library, one shared library that shows escrow_* only, its pkg-config file.
PREFIX  ?= /usr/local
DESTDIR ?=
SDK_VERSION := 0.1.0
SDK_LIBS    := -levent_core -lmariadb -lcjson -ldeflate -lz -llz4 -lzstd

SDK_DIRS    := client-sdk/src lib/net lib/mysql lib/wire lib/base
SDK_OBJ     := $(patsubst %.c,$(BUILD)/obj/%.o,$(foreach d,$(SDK_DIRS),$(call sources,$(d))))
SDK_HEADERS := $(wildcard client-sdk/include/escrow/*.h)
SDK_EXAMPLE_BINS := $(EXAMPLES:%=$(BUILD)/examples/%)

sdk: $(BUILD)/libescrow.a $(BUILD)/libescrow.so $(BUILD)/escrow.pc $(BUILD)/sdk-headers.ok $(BUILD)/sdk-docs.ok ## client library

# Linked into one object first, whose inner names are made local: an application may have its own `loop_run`.
$(BUILD)/libescrow.a: $(SDK_OBJ)
	@rm -f $@
	$(call say,link)$(LD) -r -o $(BUILD)/libescrow.o $^
	@$(OBJCOPY) --wildcard --keep-global-symbol='escrow_*' $(BUILD)/libescrow.o
	@$(AR) rcs $@ $(BUILD)/libescrow.o
OBJCOPY ?= objcopy

$(BUILD)/libescrow.so: $(SDK_OBJ) client-sdk/libescrow.map
	$(call say,link)$(CC) -shared $(LDFLAGS) -Wl,-soname,libescrow.so.0 -Wl,--version-script=client-sdk/libescrow.map $(if $(SANITIZE),,-Wl,--no-undefined) \
		-o $@ $(SDK_OBJ) $(SDK_LIBS)
	@ln -sf libescrow.so $(BUILD)/libescrow.so.0

$(BUILD)/escrow.pc: mk/sdk.mk
	@mkdir -p $(@D)
	@printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$${prefix}/lib' 'includedir=$${prefix}/include' '' 'Name: escrow' \
		'Description: transactional messaging client (EscrowMQ, RocketMQ)' 'Version: $(SDK_VERSION)' \
		'Libs: -L$${libdir} -lescrow' 'Libs.private: $(SDK_LIBS) -pthread' 'Cflags: -I$${includedir}' >$@

# Each header by itself, as C and, where a compiler is there, as C++.
CXX_FOUND := $(shell command -v $(CXX) 2>/dev/null)
$(BUILD)/sdk-headers.ok: $(SDK_HEADERS)
	@mkdir -p $(@D)
	@set -e; for h in $(SDK_HEADERS:client-sdk/include/%=%); do \
		echo "#include \"$$h\"" | $(CC) -std=c11 -Wall -Wextra -Wpedantic -Werror -Iclient-sdk/include -fsyntax-only -x c -; \
		$(if $(CXX_FOUND),echo "#include \"$$h\"" | $(CXX) -std=c++11 -Wall -Wextra -Wpedantic -Werror -Iclient-sdk/include \
			-fsyntax-only -x c++ -;) \
	done
	@$(if $(CXX_FOUND),,echo 'sdk: no C++ compiler here, headers were checked as C only';) touch $@

# The C blocks of the guide.
$(BUILD)/sdk-docs.ok: docs/sdk.md $(SDK_HEADERS)
	@mkdir -p $(BUILD)/docs
	@rm -f $(BUILD)/docs/sdk-*.c
	@awk -v out=$(BUILD)/docs/sdk- '/^```c$$/ { n++; inside = 1; next } /^```$$/ { inside = 0 } inside { print > (out n ".c") }' $<
	@set -e; for f in $(BUILD)/docs/sdk-*.c; do $(CC) -std=c11 $(WARN) -Iclient-sdk/include $(MYSQL_CFLAGS) -fsyntax-only $$f; done
	@touch $@

$(SDK_EXAMPLE_BINS): $(BUILD)/examples/%: client-sdk/examples/%.c $(BUILD)/libescrow.a $(SDK_HEADERS)
	@mkdir -p $(@D)
	$(call say,cc  )$(CC) -std=c11 -D_GNU_SOURCE $(OPT) -g $(WARN) $(SANITIZE) -Iclient-sdk/include $(MYSQL_CFLAGS) -pthread \
		-o $@ $< $(LDFLAGS) $(BUILD)/libescrow.a $(SDK_LIBS)

install-sdk: sdk ## headers, libraries and escrow.pc below $(DESTDIR)$(PREFIX)
	install -d $(DESTDIR)$(PREFIX)/include/escrow $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/share/escrow
	install -m 644 $(SDK_HEADERS) $(DESTDIR)$(PREFIX)/include/escrow
	install -m 644 $(BUILD)/libescrow.a $(DESTDIR)$(PREFIX)/lib
	install -m 755 $(BUILD)/libescrow.so $(DESTDIR)$(PREFIX)/lib/libescrow.so.$(SDK_VERSION)
	ln -sf libescrow.so.$(SDK_VERSION) $(DESTDIR)$(PREFIX)/lib/libescrow.so.0
	ln -sf libescrow.so.0 $(DESTDIR)$(PREFIX)/lib/libescrow.so
	sed 's|^prefix=.*|prefix=$(PREFIX)|' $(BUILD)/escrow.pc >$(DESTDIR)$(PREFIX)/lib/pkgconfig/escrow.pc
	install -m 644 client-sdk/sql/barrier.sql $(DESTDIR)$(PREFIX)/share/escrow

# The suite sees what an application sees: the public headers and the static library.
$(BUILD)/tests/integration/sdk_suite: tests/integration/sdk_suite.c $(BUILD)/libescrow.a $(SDK_HEADERS)
	@mkdir -p $(@D)
	$(call say,link)$(CC) -std=c11 -D_GNU_SOURCE $(OPT) -g $(WARN) $(SANITIZE) -Iclient-sdk/include -pthread \
		-o $@ $< $(LDFLAGS) $(BUILD)/libescrow.a $(SDK_LIBS)
integration: $(BUILD)/tests/integration/sdk_suite

demo: all ## orders, payments, crashes, and whether they agree in the end
	BUILD=$(BUILD) client-sdk/examples/demo/run

.PHONY: install-sdk demo

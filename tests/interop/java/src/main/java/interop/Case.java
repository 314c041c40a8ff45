package interop;

/** One thing that a client must be able to rely on. It fails by throwing. */
final class Case {
    interface Body {
        void run(Kit kit) throws Exception;
    }

    /** EVERYWHERE holds on a stock RocketMQ too; ESCROW is what a stock broker is known to get wrong. */
    enum Scope { EVERYWHERE, ESCROW }

    final String name;
    final Scope scope;
    final Body body;

    Case(String name, Scope scope, Body body) {
        this.name = name;
        this.scope = scope;
        this.body = body;
    }

    static Case everywhere(String name, Body body) {
        return new Case(name, Scope.EVERYWHERE, body);
    }

    static Case escrow(String name, Body body) {
        return new Case(name, Scope.ESCROW, body);
    }
}

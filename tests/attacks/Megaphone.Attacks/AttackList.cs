namespace Megaphone.Attacks;

/// <summary>All attacks, in the order in which they are played.</summary>
internal static class AttackList
{
    private static readonly Func<IAttack>[] All =
    [
        () => new KeyUpdateFlood(asks: false),
        () => new KeyUpdateFlood(asks: true),
        () => new UnreadKeyUpdates(),
        () => new ClientHelloFlood(),
        () => new RecordFlood(warns: false),
        () => new RecordFlood(warns: true),
        () => new SingleBytes(),
        () => new CollidingIds(module: false),
        () => new CollidingIds(module: true),
        () => new DescriptorHog(),
        () => new SilentHandshakes(begins: false),
        () => new SilentHandshakes(begins: true),
        () => new PartialStanzas(),
        () => new LoginFlood("silent-logins", fails: false, addresses: 10, isBounded: false),
        () => new LoginFlood("silent-logins-many", fails: false, addresses: 10_000, isBounded: false),
        () => new LoginFlood("silent-logins-turns", fails: false, addresses: 10_000, atOnce: 3000),
        () => new LoginFlood("failing-logins", fails: true, addresses: 10, isBounded: false),
        () => new LoginFlood("failing-logins-many", fails: true, addresses: 10_000, isBounded: false),
        () => new LoginFlood("failing-logins-turns", fails: true, addresses: 10, atOnce: 20),
        () => new InvalidHeaders(),
        () => new GarbageLinks(module: false),
        () => new GarbageLinks(module: true),
        () => new SecretGuesses(module: false),
        () => new SecretGuesses(module: true),
        () => new SilentLinks(),
        () => new SlowRequests(),
        () => new ForgedLog(module: false),
        () => new ForgedLog(module: true),
        () => new ForgedAttribute(),
    ];

    /// <summary>Their names.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. All.Select(make => make().Name)];

    /// <summary>Makes the attack of that name.</summary>
    public static IAttack Make(string name) => All.Select(make => make()).Single(attack => attack.Name == name);
}

namespace Megaphone.EndToEnd.Support;

/// <summary>A program of <c>tests/clients/tls</c>, in one of several languages: all have the same arguments, and say the same.</summary>
/// <param name="Command">How it is started.</param>
/// <param name="HasRegisteredNames">It calls suites as the registry does; else as OpenSSL does.</param>
/// <param name="ChoosesTls13">Whether it can be told which suite of TLS 1.3 to speak; else it offers all.</param>
internal sealed record TlsProgram(string[] Command, bool HasRegisteredNames, bool ChoosesTls13)
{
    /// <summary>Where <c>tests/tls/peers.sh</c> has put what it has compiled and installed; null in other runs.</summary>
    private static readonly string? MorePeers = Environment.GetEnvironmentVariable("MEGAPHONE_TLS_PEERS");

    private static readonly string Folder = Path.Combine(Repository.Root, "tests/clients/tls");

    private static readonly Dictionary<string, TlsProgram> All = new()
    {
        ["Python"] = new(["/usr/bin/python3", Path.Combine(Folder, "peer.py")], HasRegisteredNames: false, ChoosesTls13: false),
        ["Node.js"] = new(["node", Path.Combine(Folder, "peer.mjs")], HasRegisteredNames: false, ChoosesTls13: true),
    };

    private static readonly Dictionary<string, TlsProgram> Large = new()
    {
        ["Go"] = new([Path.Combine(MorePeers ?? "", "peer-go")], HasRegisteredNames: true, ChoosesTls13: false),
        ["Java"] = new(["java", "-cp", MorePeers ?? "", "Peer"], HasRegisteredNames: true, ChoosesTls13: true),
    };

    /// <summary>Those that are installed.</summary>
    public static IEnumerable<string> Names => MorePeers is null ? All.Keys : [.. All.Keys, .. Large.Keys];

    /// <summary>The one in a language.</summary>
    public static TlsProgram Of(string language) => All.TryGetValue(language, out TlsProgram? program) ? program : Large[language];

    /// <summary>What it calls a suite.</summary>
    public string NameOf(TlsSuite suite) => HasRegisteredNames ? suite.Registered : suite.Name;
}

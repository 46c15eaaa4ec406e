namespace Megaphone.EndToEnd.Support;

/// <summary>A cipher suite that is allowed, by the names that peers have for it.</summary>
/// <param name="Name">OpenSSL's name; with TLS 1.3 also the registry's.</param>
/// <param name="Registered">The registry's name.</param>
/// <param name="Number">Its number in the registry, in four digits.</param>
/// <param name="GnuTls">GnuTLS's name of its cipher.</param>
internal sealed record TlsSuite(string Name, string Registered, string Number, string GnuTls)
{
    /// <summary>Every suite.</summary>
    public static IReadOnlyList<TlsSuite> All { get; } =
    [
        new("TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256", "1301", "AES-128-GCM"),
        new("TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384", "1302", "AES-256-GCM"),
        new("TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256", "1303", "CHACHA20-POLY1305"),
        new("ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "C02B", "AES-128-GCM"),
        new("ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "C02C", "AES-256-GCM"),
        new("ECDHE-ECDSA-CHACHA20-POLY1305", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "CCA9", "CHACHA20-POLY1305"),
        new("ECDHE-RSA-AES128-GCM-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "C02F", "AES-128-GCM"),
        new("ECDHE-RSA-AES256-GCM-SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "C030", "AES-256-GCM"),
        new("ECDHE-RSA-CHACHA20-POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "CCA8", "CHACHA20-POLY1305"),
    ];

    /// <summary>Whether it is one of TLS 1.3; else it is one of TLS 1.2.</summary>
    public bool IsTls13 => Name.StartsWith("TLS_", StringComparison.Ordinal);

    /// <summary>Whether the server's key has to be RSA; with TLS 1.3 it may be any.</summary>
    public bool IsRsa => Name.StartsWith("ECDHE-RSA", StringComparison.Ordinal);

    /// <summary>The version, as most peers have it on their command line.</summary>
    public string Version => IsTls13 ? "1.3" : "1.2";

    /// <summary>The suite with OpenSSL's name.</summary>
    public static TlsSuite Of(string name) => All.Single(suite => suite.Name == name);
}

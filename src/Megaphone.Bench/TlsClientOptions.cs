using Megaphone.Ecm;
using Megaphone.Interop;
using Megaphone.Tls;
using Megaphone.Values;

namespace Megaphone.Bench;

/// <summary>How connections are secured with TLS.</summary>
internal sealed record TlsClientOptions
{
    private const string Unchecked = "none";

    private static readonly BenchOption TlsOption = new(
        "tls", "none|direct|starttls", "none", "TLS of the connections: from their beginning, or as XMPP negotiates it");
    private static readonly BenchOption AuthoritiesOption = new(
        "ca", "FILE|none", null, "PEM file with the authorities of the server's certificate, or none: any is accepted; default: the system's");
    private static readonly BenchOption ServerNameOption = new(
        "server-name", "NAME", null, "host that the server's certificate must be for; default: the one to connect to");
    private static readonly BenchOption VersionOption = new(
        "tls-version", "1.2|1.3", null, "version of TLS; default: the newest that the server has");
    private static readonly BenchOption CipherOption = new(
        "tls-cipher", "CIPHER", null, "aes128, aes256 or chacha20; default: the one that the server prefers");

    /// <summary>The options, in the order of the help.</summary>
    public static IReadOnlyList<BenchOption> All { get; } = [TlsOption, AuthoritiesOption, ServerNameOption, VersionOption, CipherOption];

    /// <summary>Whether STARTTLS comes first.</summary>
    public required bool IsNegotiated { get; init; }

    /// <summary>Whether the server's certificate is checked.</summary>
    public required bool ChecksCertificate { get; init; }

    /// <summary>The file with the authorities; null: the system's.</summary>
    public required string? Authorities { get; init; }

    /// <summary>The server's name, or its address.</summary>
    public required string ServerName { get; init; }

    /// <summary>OpenSSL's number of the only version; 0: the newest that the server has.</summary>
    public required int Version { get; init; }

    /// <summary>The only cipher; null: any, and the server chooses.</summary>
    public AeadAlgorithm? Cipher { get; init; }

    /// <summary>Reads the options.</summary>
    /// <param name="values">The options that were given.</param>
    /// <param name="to">Where connections go; null: that was not understood.</param>
    /// <param name="isSecured">Whether there is TLS from the beginning if nothing is said about it.</param>
    /// <returns>Null without TLS.</returns>
    public static TlsClientOptions? Read(OptionValues values, HostPort? to, bool isSecured)
    {
        ClientTls tls = values.Get(
            TlsOption, ValueFormats.Choice(("none", ClientTls.None), ("direct", ClientTls.Direct), ("starttls", ClientTls.StartTls)));
        string? authorities = values.Get(AuthoritiesOption, BenchFormats.Authorities);
        string? name = values.Get(ServerNameOption, BenchFormats.Domain);
        int version = values.Get(VersionOption, ValueFormats.Choice(("1.2", OpenSsl.Tls12), ("1.3", OpenSsl.Tls13)));
        AeadAlgorithm? cipher = values.Get(
            CipherOption,
            ValueFormats.Choice<AeadAlgorithm?>(
                ("aes128", AeadAlgorithm.Aes128Gcm), ("aes256", AeadAlgorithm.Aes256Gcm), ("chacha20", AeadAlgorithm.ChaCha20Poly1305)));
        if (tls == ClientTls.None && !isSecured)
        {
            RefuseIf(authorities is not null, AuthoritiesOption);
            RefuseIf(name is not null, ServerNameOption);
            RefuseIf(version != 0, VersionOption);
            RefuseIf(cipher is not null, CipherOption);
            return null;
        }

        return new TlsClientOptions
        {
            IsNegotiated = tls == ClientTls.StartTls,
            ChecksCertificate = authorities != Unchecked,
            Authorities = authorities == Unchecked ? null : authorities,
            ServerName = name ?? to?.Host ?? "",
            Version = version,
            Cipher = cipher,
        };

        void RefuseIf(bool isGiven, BenchOption option)
        {
            if (isGiven) values.Refuse(option, "means nothing without TLS", $"for example --{TlsOption.Name} direct");
        }
    }
}

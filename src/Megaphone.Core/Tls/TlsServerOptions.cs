namespace Megaphone.Tls;

/// <summary>How a server speaks TLS.</summary>
internal sealed record TlsServerOptions
{
    /// <summary>The certificates, at least one. The first is for clients that name no host; of two for the same name and kind of
    /// key the first is used.</summary>
    public required IReadOnlyList<CertificateFiles> Certificates { get; init; }

    /// <summary>Whether TLS 1.2 is accepted beside 1.3. Default true.</summary>
    public bool AllowTls12 { get; init; } = true;

    /// <summary>Whether clients may resume sessions with tickets. Default true.</summary>
    public bool Tickets { get; init; } = true;

    /// <summary>Who opens and seals records. Default: Megaphone.</summary>
    public RecordLayer Records { get; init; } = RecordLayer.Own;
}

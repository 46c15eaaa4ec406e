namespace Megaphone.Links;

/// <summary>How one end of links speaks TLS.</summary>
internal sealed record LinkTlsOptions
{
    /// <summary>
    /// The PEM files of this end's certificate, with those of its authorities behind it, and of its key, not encrypted; null: it shows
    /// none, which only an end that makes links may do.
    /// </summary>
    public (string Certificate, string Key)? Own { get; init; }

    /// <summary>
    /// A PEM file with the authorities from one of which the other end's certificate must come; a self-signed one that stands in it
    /// is accepted too. Null: the system's, at an end that makes links; no certificate is wanted, at one that takes them.
    /// </summary>
    public string? Authorities { get; init; }

    /// <summary>
    /// The host that the other end's certificate must cover, by name or address; null at an end that takes links, which checks where
    /// certificates come from and not whom they name.
    /// </summary>
    public string? PeerName { get; init; }

    /// <summary>Whether this end takes links rather than makes them: it is the server of TLS.</summary>
    public bool Listens => PeerName is null;

    /// <summary>The section of the configuration that this is, for messages.</summary>
    public string Section => Listens ? "Hub:Tls" : "Ecm:Link:Tls";

    /// <summary>The key of <see cref="Authorities"/>, for messages.</summary>
    public string AuthoritiesKey => Listens ? "Hub:Tls:ClientCa" : "Ecm:Link:Tls:Ca";

    /// <summary>Every file that is named.</summary>
    public IReadOnlyList<string> Files() =>
    [
        .. Own is { } own ? [own.Certificate, own.Key] : Array.Empty<string>(),
        .. Authorities is null ? Array.Empty<string>() : [Authorities],
    ];
}

namespace Megaphone.Links;

/// <summary>The TLS settings of one end of links.</summary>
internal sealed record LinkTlsOptions
{
    /// <summary>
    /// The PEM files of this end's certificate, followed by its intermediate ones, and of its key, not encrypted; null: none, which
    /// only an end that connects links may have.
    /// </summary>
    public (string Certificate, string Key)? Own { get; init; }

    /// <summary>
    /// A PEM file with the authorities one of which must have issued the other end's certificate; a self-signed certificate in this file
    /// is accepted too. Null: the system's, at an end that connects links; no certificate is required, at one that accepts them.
    /// </summary>
    public string? Authorities { get; init; }

    /// <summary>
    /// The host that the other end's certificate must cover, by name or address; null: the host that was connected to. An end that accepts
    /// links checks who issued a certificate, and not whom it names.
    /// </summary>
    public string? PeerName { get; init; }

    /// <summary>Whether this end accepts links rather than connects them: it is the TLS server.</summary>
    public bool Listens { get; init; }

    /// <summary>Its section in the configuration, for messages.</summary>
    public string Section => Listens ? "Hub:Tls" : "Ecm:Link:Tls";

    /// <summary>The key of <see cref="Authorities"/>, for messages.</summary>
    public string AuthoritiesKey => Listens ? "Hub:Tls:ClientCa" : "Ecm:Link:Tls:Ca";

    /// <summary>The key of one of <see cref="Files"/>, for messages; of anything else the section.</summary>
    public string KeyOf(string? file) =>
        file is null ? Section
        : file == Own?.Certificate ? $"{Section}:Certificate"
        : file == Own?.Key ? $"{Section}:Key"
        : file == Authorities ? AuthoritiesKey
        : Section;

    /// <summary>All files.</summary>
    public IReadOnlyList<string> Files() =>
    [
        .. Own is { } own ? [own.Certificate, own.Key] : Array.Empty<string>(),
        .. Authorities is null ? Array.Empty<string>() : [Authorities],
    ];
}

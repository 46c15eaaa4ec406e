using Megaphone.Interop;

namespace Megaphone.Tls;

/// <summary>The certificates that are in use together, and which of them a host gets. Immutable, so thread-safe.</summary>
internal sealed class CertificateSet
{
    private readonly Dictionary<string, TlsContext> _byName = [];

    private CertificateSet(IReadOnlyList<CertificateChain> chains, TlsContext front)
    {
        Chains = chains;
        Front = front;
    }

    /// <summary>What was read, in the order of the options.</summary>
    public IReadOnlyList<CertificateChain> Chains { get; }

    /// <summary>For sessions of which no host is known yet: the first certificate, unless the client names a host.</summary>
    public TlsContext Front { get; }

    /// <summary>Reads and checks everything.</summary>
    /// <param name="options">Where the certificates are.</param>
    /// <param name="now">The time by which they must be valid.</param>
    /// <param name="configure">Gives a context what all have in common. The flag: it is <see cref="Front"/>.</param>
    /// <exception cref="CertificateException">Something is wrong; it names all of it.</exception>
    public static CertificateSet Load(TlsServerOptions options, DateTimeOffset now, Action<TlsContext, bool> configure)
    {
        CertificateCheck check = new(now);
        List<CertificateChain> chains = [];
        foreach ((int place, CertificateFiles files) in options.Certificates.Index())
        {
            if (CertificateChain.Read(files, check) is not { } chain || !check.CheckKey(files.Certificate, files.Key)) continue;
            foreach (string name in files.Names.Where(name => !chain.Covers(name)))
            {
                check.Problems.Add(new(
                    files.Certificate, $"it covers {string.Join(", ", chain.Names)} and not {name}, which Certificates:{place}:Names wants",
                    $"in one that does, subjectAltName has for example DNS:{name}"));
            }

            chains.Add(chain);
        }

        check.ThrowIfAny();
        CertificateSet set = new(chains, Make(For(chains[0].Names[0], chains), isFront: true, configure));
        Dictionary<string, TlsContext> made = [];
        foreach (string name in chains.SelectMany(chain => chain.Names).Distinct())
        {
            // Most names share their certificates, and so their context.
            List<CertificateChain> own = For(name, chains);
            string key = string.Join('\n', own.Select(chain => chain.Files.Certificate));
            if (!made.TryGetValue(key, out TlsContext? context)) made[key] = context = Make(own, isFront: false, configure);
            set._byName[name] = context;
        }

        return set;
    }

    /// <summary>The context for a host, whose name is normalized; null when no certificate covers it.</summary>
    public TlsContext? Find(string host) =>
        _byName.GetValueOrDefault(host)
        ?? (HostName.WildcardOf(host) is { } wildcard ? _byName.GetValueOrDefault(wildcard) : null);

    /// <summary>The certificates that cover a name, one for each kind of key: exact ones before those with a wildcard.</summary>
    private static List<CertificateChain> For(string name, IReadOnlyList<CertificateChain> chains) =>
    [
        .. chains.Where(chain => chain.Names.Contains(name))
            .Concat(chains.Where(chain => chain.Covers(name)))
            .DistinctBy(chain => chain.KeyKind),
    ];

    private static TlsContext Make(List<CertificateChain> chains, bool isFront, Action<TlsContext, bool> configure)
    {
        TlsContext context = CertificateCheck.NewContext();
        CertificateCheck check = new(DateTimeOffset.UtcNow);
        foreach (CertificateChain chain in chains) check.TryUse(context, chain.Files.Certificate, chain.Files.Key);
        check.ThrowIfAny();
        configure(context, isFront);
        return context;
    }
}

using System.Runtime.CompilerServices;

namespace Megaphone.Metrics;

/// <summary>The numbers of a <see cref="RoleMetrics"/>, without a reference among them: they can be copied as one piece.</summary>
internal struct RoleCounters
{
    public long Links;
    public long LinksCut;
    public long LinkCuts;
    public long LinkCutMilliseconds;
    public long LinksResumed;
    public long SessionsOpened;
    public long Connected;
    public long PacketsIn;
    public long BytesIn;
    public long PacketsOut;
    public long BytesOut;
    public long ProtocolErrors;
    public long Pauses;
    public long BufferedBytes;
    public long BufferMemory;
    public long ControlIgnored;
    public long IncompleteBytes;
    public long Handshaking;
    public long CertificateReloads;
    public long CertificateReloadFailures;
    public long LinkCertificateReloads;
    public long LinkCertificateReloadFailures;
    public PerCloseReason Closed;
    public PerDropReason Dropped;
    public PerRefusalReason Refused;
    public PerLimit Limited;
    public PerStreamCondition StreamErrors;
    public PerHandshakeEnd Handshakes;
    public long LoggedIn;
    public TimeHistogram Logins;
    public TimeHistogram HandshakeTimes;
    public TimeHistogram RoundTrips;
    public PerTls Tls;

    /// <summary>As many as <see cref="CloseReason"/> has values.</summary>
    [InlineArray(23)]
    public struct PerCloseReason
    {
        private long _first;
    }

    /// <summary>As many as <see cref="DropReason"/> has values.</summary>
    [InlineArray(4)]
    public struct PerDropReason
    {
        private long _first;
    }

    /// <summary>As many as <see cref="RefusalReason"/> has values.</summary>
    [InlineArray(11)]
    public struct PerRefusalReason
    {
        private long _first;
    }

    /// <summary>As many as <see cref="Limit"/> has values.</summary>
    [InlineArray(14)]
    public struct PerLimit
    {
        private long _first;
    }

    /// <summary>As many as <see cref="Xmpp.StreamCondition"/> has values.</summary>
    [InlineArray(8)]
    public struct PerStreamCondition
    {
        private long _first;
    }

    /// <summary>Three algorithms for each of two versions of TLS.</summary>
    [InlineArray(2 * RoleMetrics.TlsAlgorithms)]
    public struct PerTls
    {
        private long _first;
    }

    /// <summary>As many as <see cref="HandshakeEnd"/> has values.</summary>
    [InlineArray(9)]
    public struct PerHandshakeEnd
    {
        private long _first;
    }
}

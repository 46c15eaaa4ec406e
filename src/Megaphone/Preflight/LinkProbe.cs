using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Megaphone.Ecm;
using Megaphone.Links;
using Megaphone.Metrics;
using Megaphone.Protocol;
using Megaphone.Tls;
using Microsoft.Extensions.Logging.Abstractions;

namespace Megaphone.Preflight;

/// <summary>Asks servers for a link as the ECM would, and ends it in order as soon as it is there.</summary>
/// <remarks>
/// A server that runs is not disturbed: no session is opened, and the <c>hello</c> is in a name of its own, so that no link of an ECM that runs is
/// taken up or superseded (section 7 of the link protocol). The link is closed for good, so nobody waits for it.
/// </remarks>
internal sealed class LinkProbe : IDisposable
{
    private readonly EcmOptions _ecm;
    private readonly LinkTls? _tls;
    private readonly bool _isUsable = true;

    /// <summary>Makes it for the links of an ECM.</summary>
    public LinkProbe(EcmOptions ecm)
    {
        _ecm = ecm;
        if (ecm.Connect.Tls is not { } tls) return;
        try
        {
            _tls = new LinkTls(tls, new RoleMetrics(Role.Ecm), new LinkLog(NullLogger<Link>.Instance));
        }
        catch (CertificateException)
        {
            // What is wrong with its files is reported by itself.
            _isUsable = false;
        }
    }

    /// <summary>Asks over a connected socket.</summary>
    /// <param name="socket">The socket, which is closed when there is no answer in time, and else by its owner.</param>
    /// <param name="address">Where it is connected to.</param>
    /// <param name="host">The host that was looked up, which the certificate must cover.</param>
    public async Task<AddressAnswer> AskAsync(Socket socket, EndPoint address, string host)
    {
        AddressAnswer answer = new(address);
        if (!_isUsable) return answer;

        // Whatever is being waited for ends with the socket.
        using Timer timeout = new(_ => socket.Dispose(), null, TargetProbe.LongestWait, Timeout.InfiniteTimeSpan);
        LinkTls.Result tls = _tls is null ? default : await _tls.SecureAsync(socket, host);
        using SecuredSocket? secured = tls.Secured;
        try
        {
            if (tls.Failure is { } failure)
            {
                return socket.SafeHandle.IsClosed
                    ? Silent(answer)
                    : answer with { Objection = Objection.Tls, Reason = failure, Fix = tls.Fix };
            }

            answer = answer with { Tls = secured?.Version, NotAfter = secured?.PeerNotAfter };
            return _ecm.Connect.Control ? await SayHelloAsync(new ProbedLink(socket, secured), answer) : answer;
        }
        catch (Exception error) when (error is SocketException or IOException or ObjectDisposedException or TimeoutException)
        {
            return socket.SafeHandle.IsClosed ? Silent(answer) : NoLink(answer, $"it ended the connection: {TlsFault.Describe(error)}");
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _tls?.Dispose();

    private static AddressAnswer Silent(AddressAnswer answer) => answer with
    {
        Objection = Objection.Silent,
        Reason = $"it accepts connections, and has not answered within {TargetProbe.LongestWait.TotalSeconds} s",
    };

    private static AddressAnswer NoLink(AddressAnswer answer, string reason) => answer with { Objection = Objection.NoLink, Reason = reason };

    private async Task<AddressAnswer> SayHelloAsync(ProbedLink link, AddressAnswer answer)
    {
        ControlResume offer = new()
        {
            Instance = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16)),
            Slot = 0,
            Window = _ecm.Link.RingBytes,
        };
        await link.SendAsync(ControlMessage.Hello(
            $"{_ecm.Link.Name} (megaphone check)", _ecm.Link.Secret, _ecm.Link.Framing, _ecm.Link.MaxPacketBytes,
            _ecm.Connect.Resume ? offer : null));

        if (!await link.ReceiveAsync())
        {
            return link.Fault switch
            {
                null => NoLink(answer, "it ended the connection without an answer to hello"),
                { LooksLikeTls: true } => answer with { Objection = Objection.Tls, Reason = "the other end uses TLS, and Ecm:Link:Tls is not set" },
                { } fault => NoLink(answer, $"what it answers does not come from the end of a link: {fault}"),
            };
        }

        HandshakeResult result = Handshake.OnAnswer(link.Id, link.Content.Span);
        return result.Outcome switch
        {
            HandshakeResult.Kind.Up => answer with { Welcome = result, IsDraining = await link.EndAsync("megaphone check is done") },
            HandshakeResult.Kind.End => answer with { Objection = Objection.Refused, Reason = result.Reason },
            _ => NoLink(answer, $"what it answers does not come from the end of a link: {result.Reason}"),
        };
    }
}

using FsCheck;
using FsCheck.Fluent;
using Megaphone.Links;
using Megaphone.Metrics;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Megaphone.Tests.Links;

/// <summary>
/// Section 7 of the link protocol: two ends and a wire that is cut anywhere, any number of times. Every byte arrives once and in order.
/// </summary>
public sealed class LinkResumptionTests : IDisposable
{
    private const int Packets = 300;
    private const int Largest = 4_000;

    // The kernel's buffers stay as they are: with few bytes of them TCP waits for its own timers. And there is a secret, because another test's
    // connector may still try a port that is this one's now: of the same process and slot, it would be taken for the ECM itself.
    private static readonly LinkOptions Small = new()
    {
        RingBytes = 32 << 10,
        MaxPacketBytes = 16 << 10,
        SocketBufferBytes = 0,
        Secret = "secret-of-a-test",
    };

    private static readonly Gen<CuttingWire.Cut> Cuts =
        Gen.OneOf(Gen.Choose(0, 600), Gen.Choose(0, 20_000), Gen.Choose(0, 300_000))
            .SelectMany(_ => Gen.Elements(true, false), (after, reset) => new CuttingWire.Cut(after, reset));

    private readonly TestAuthority _authority = new();

    /// <summary>Both ends send as much as fits, and one does not take a packet for whose answer it has no room: its ring and that of the other
    /// end are full nearly all the time.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Every_byte_arrives_once_and_in_order_wherever_the_wire_is_cut(bool echoes) => FsCheck.Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(50).WithEndSize(20),
        Prop.ForAll(
            Arb.From(Cuts.ArrayOf()), Arb.From(Gen.Choose(0, 1_000_000)), (cuts, seed) => RunAsync(cuts, seed, echoes).GetAwaiter().GetResult()));

    [Fact]
    public async Task The_same_holds_over_TLS()
    {
        LinkLog log = new(NullLogger<Link>.Instance);
        using LinkTls theirs = new(
            new LinkTlsOptions { Listens = true, Own = _authority.Issue("localhost", "localhost") }, new RoleMetrics(Role.Hub), log);
        using LinkTls ours = new(
            new LinkTlsOptions { Authorities = _authority.File, PeerName = "localhost" }, new RoleMetrics(Role.Ecm), log);
        Random random = new(7);
        CuttingWire.Cut[] cuts = [.. Enumerable.Range(0, 12).Select(i => new CuttingWire.Cut(random.Next(60_000), i % 2 == 0))];
        await RunAsync(cuts, 7, echoes: true, ours, theirs);
    }

    public void Dispose() => _authority.Dispose();

    private static async Task RunAsync(CuttingWire.Cut[] cuts, int seed, bool echoes, LinkTls? ours = null, LinkTls? theirs = null)
    {
        using ResumedLink link = new(Small, cuts, echoes, ours, theirs);
        await BoundedWait.UntilAsync(
            () => link.Connecting.Link is { } here && link.Accepting.Link is { } far && here.Terms!.Token == far.Terms!.Token, "the link");
        Task there = link.Connecting.SendAsync(Packets, seed, Largest);
        Task back = echoes ? Task.CompletedTask : link.Accepting.SendAsync(Packets, seed + 1, Largest);
        try
        {
            await BoundedWait.WithinAsync(Task.WhenAll(there, back), "the senders");
            await BoundedWait.UntilAsync(
                () => link.Accepting.Received >= Packets && link.Connecting.Received >= Packets
                    && link.Accepting.Controls >= link.Connecting.ControlsSent && link.Connecting.Controls >= link.Accepting.ControlsSent,
                "everything that was sent");
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException(
                $"{e.Message}; {link.Accepting} and {link.Connecting}, {link.CutsLeft} cuts are left: "
                + string.Join("\n", link.Log.Lines.TakeLast(20)));
        }

        Assert.Equal((null, null), (link.Accepting.Problem, link.Connecting.Problem));
        Assert.Equal((Packets, Packets), (link.Accepting.Received, link.Connecting.Received));
        Assert.Equal((link.Connecting.ControlsSent, link.Accepting.ControlsSent), (link.Accepting.Controls, link.Connecting.Controls));
        Assert.False(link.Accepting.IsDown || link.Connecting.IsDown);
        Assert.Equal((0, 0), (link.Accepting.Metrics.ProtocolErrors, link.Connecting.Metrics.ProtocolErrors));
    }
}

using System.Net;
using System.Text;

namespace Megaphone.Attacks;

/// <summary>Clients of the module whose stream headers are no UTF-8, large ones and small ones, again and again.</summary>
internal sealed class InvalidHeaders : IAttack
{
    private const int Clients = 16;
    private const int LargeBytes = 100_000;
    private static readonly TimeSpan Rest = TimeSpan.FromMilliseconds(100);

    /// <inheritdoc/>
    public string Name => "invalid-utf8";

    /// <inheritdoc/>
    public string Summary => "clients whose stream headers are no UTF-8, up to 100 KB long";

    /// <summary>With an ECM that lets them through, though nobody has logged in.</summary>
    public Scene Scene => new() { HasPeers = true, AttacksServer = true, Ecm = ["Ecm:Limits:BeforeLogin:StanzaBytes=256K"] };

    /// <inheritdoc/>
    public int MinActions => Clients;

    /// <inheritdoc/>
    public Task PrepareAsync(Target target, Timing timing) => Task.CompletedTask;

    /// <inheritdoc/>
    public async Task<Outcome> PlayAsync(Target target, Timing timing, CancellationToken end)
    {
        int sent = 0, answered = 0, late = 0;
        await AttackThread.RunAsync(Clients, number =>
        {
            byte[] header = Header(number % 2 == 0 ? LargeBytes : 0, atTheEnd: number / 2 % 2 == 0);
            do
            {
                using AttackSocket? client = AttackSocket.Connect(target.Clients, IPAddress.Loopback, end);
                if (client is null || client.Send(header, reads: false, end) < header.Length) continue;
                Interlocked.Increment(ref sent);

                // Not cut short by the end: whoever began has as long for his answer as the others.
                string answer = Encoding.Latin1.GetString(client.Receive(IsRefused, timing.AnswerWithin, CancellationToken.None));
                Interlocked.Increment(ref answer.Contains("<not-well-formed", StringComparison.Ordinal) ? ref answered : ref late);
            }
            while (!end.WaitHandle.WaitOne(Rest));
        });
        string within = $"{timing.AnswerWithin.TotalSeconds:0.#} s";
        return new Outcome(sent, $"{answered} of {sent} refused in order", late > 0 ? $"{late} headers had no stream error within {within}" : null);
    }

    private static bool IsRefused(byte[] answer) => answer.AsSpan().IndexOf("</stream:stream>"u8) >= 0;

    /// <summary>Behind white space is where the bytes do most.</summary>
    private static byte[] Header(int padding, bool atTheEnd)
    {
        byte[] start = Encoding.ASCII.GetBytes(
            "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' ");
        byte[] pad = [.. "pad='"u8, .. Enumerable.Repeat((byte)'x', padding), .. "' "u8];
        byte[] invalid = [0xff, (byte)'y', (byte)'=', (byte)'\'', 0xff, (byte)'\'', (byte)' '];
        return atTheEnd ? [.. start, .. pad, .. invalid, 0xff, (byte)'>'] : [.. start, .. invalid, .. pad, (byte)'>'];
    }
}

using System.Net;
using System.Text;

namespace Megaphone.Attacks;

/// <summary>Stream headers before STARTTLS whose <c>to</c> ends the attribute of the answer that it is repeated in, and begins others.</summary>
internal sealed class ForgedAttribute : IAttack
{
    private const int Clients = 4;
    private static readonly TimeSpan Rest = TimeSpan.FromMilliseconds(50);

    private static readonly string[] Hosts =
    [
        "\"a' evil='1' x='.example.org\"", "\"a'><evil/><x y='.example.org\"",
        "'a&apos; evil=&apos;1&apos; x=&apos;.example.org'", "\"a&#39; evil=&#39;1.example.org\"",
    ];

    /// <inheritdoc/>
    public string Name => "forged-attribute";

    /// <inheritdoc/>
    public string Summary => "stream headers before STARTTLS whose \"to\" has attributes in it";

    /// <inheritdoc/>
    public Scene Scene => new() { StartTlsHosts = ["*.example.org"] };

    /// <inheritdoc/>
    public int MinActions => Hosts.Length;

    /// <inheritdoc/>
    public bool IsBrief => true;

    /// <inheritdoc/>
    public Task PrepareAsync(Target target, Timing timing) => Task.CompletedTask;

    /// <inheritdoc/>
    public async Task<Outcome> PlayAsync(Target target, Timing timing, CancellationToken end)
    {
        int sent = 0, refused = 0, forged = 0;
        await AttackThread.RunAsync(Clients, number =>
        {
            byte[] header = Encoding.ASCII.GetBytes(
                $"<stream:stream to={Hosts[number]} version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>");
            do
            {
                using AttackSocket? client = AttackSocket.Connect(target.StartTlsClients, IPAddress.Loopback, end);
                if (client is null || client.Send(header, reads: false, end) < header.Length) continue;
                Interlocked.Increment(ref sent);
                string answer = Encoding.Latin1.GetString(client.Receive(IsAnswer, timing.AnswerWithin, CancellationToken.None));
                if (answer.Contains("evil=", StringComparison.Ordinal) || answer.Contains("<evil", StringComparison.Ordinal))
                    Interlocked.Increment(ref forged);
                else if (answer.Contains("<stream:error>", StringComparison.Ordinal)) Interlocked.Increment(ref refused);
            }
            while (!end.WaitHandle.WaitOne(Rest));
        });
        return new Outcome(sent, $"{refused} of {sent} refused, {forged} forged", forged > 0 ? "attributes were forged" : null);
    }

    private static bool IsAnswer(byte[] answer) =>
        answer.AsSpan().IndexOf("</stream:features>"u8) >= 0 || answer.AsSpan().IndexOf("</stream:stream>"u8) >= 0;
}

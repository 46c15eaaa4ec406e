using Megaphone.Attacks;

namespace Megaphone.EndToEnd;

/// <summary>
/// The attacks of <c>tests/attacks</c>, each for a short time: no other client suffers, nothing is forged, and the attacker is disconnected.
/// </summary>
/// <remarks>How long others wait is only bounded roughly here, where the machine may be busy; <c>tests/attacks/run.sh</c> measures it.</remarks>
[Collection(Alone)]
public sealed class AttackTests
{
    private const string Alone = "Attacks";

    /// <summary>How long an honest client may wait on a busy machine, as a part of the attack's time: less than it lasts.</summary>
    private const double MaxWait = 0.75;

    /// <summary>
    /// The same where the attacker has ejabberd calculate all the time, on the processors that honest clients need too: longer than an attack
    /// lasts, since what waits then is answered soon after it.
    /// </summary>
    private const double MaxWaitForProcessor = 6;

    /// <summary>Seconds that an attack is played; longer each time that it comes to nothing, or others wait, as it does on a busy machine.</summary>
    private static readonly int[] Lengths = [2, 4, 8, 16];

    /// <summary>The attacks.</summary>
    public static TheoryData<string> Names => [.. AttackList.Names];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task No_client_suffers_from_an_attack(string attack)
    {
        double maxWait = attack.StartsWith("failing-logins", StringComparison.Ordinal) ? MaxWaitForProcessor : MaxWait;
        string failure = "";
        foreach (int seconds in Lengths)
        {
            AttackResult result = await AttackRun.PlayAsync(AttackList.Make(attack), Timing.Short(TimeSpan.FromSeconds(seconds)));
            string[] broken = [.. result.Broken(1000 * maxWait * seconds)];
            if (broken.Length == 0) return;
            string harmed = string.Join("; ", result.Harmed);
            failure += $"{seconds} s: {string.Join("; ", broken)}. {result.Outcome.Summary}. {harmed}\n{result.EcmState}\n";

            // Nobody is harmed by a busy machine.
            if (result.HarmedCount > 0) break;
        }

        Assert.Fail(failure);
    }

    /// <summary>They are there to be compared with: what becomes of their clients is not for these tests.</summary>
    [Theory]
    [InlineData("haproxy")]
    [InlineData("ejabberd")]
    public async Task An_attack_can_be_played_against_others(string peer)
    {
        Front front = peer == "haproxy" ? Front.HaProxy : Front.Ejabberd;
        AttackResult result = await AttackRun.PlayAsync(AttackList.Make("silent-handshakes"), Timing.Short(TimeSpan.FromSeconds(2)), front);

        Assert.NotEqual(0, result.Before.Count);
        Assert.NotEqual(0, result.During.Count);
        Assert.NotEqual(0, result.Outcome.Actions);
        Assert.InRange(result.MemoryPeak, 1, long.MaxValue);
    }

    /// <summary>Waits are measured, so no other test runs at the same time.</summary>
    [CollectionDefinition(Alone, DisableParallelization = true)]
    public sealed class Definition;
}

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

    /// <summary>Milliseconds that an honest client may wait on a busy machine: less than an attack lasts.</summary>
    private const double MaxWait = 1500;

    /// <summary>
    /// The same where the attacker has ejabberd calculate all the time, on the processors that honest clients need too: longer than an attack
    /// lasts, since what waits then is answered soon after it.
    /// </summary>
    private const double MaxWaitForProcessor = 6000;

    /// <summary>The attacks.</summary>
    public static TheoryData<string> Names => [.. AttackList.Names];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task No_client_suffers_from_an_attack(string attack)
    {
        AttackResult result = await AttackRun.PlayAsync(AttackList.Make(attack), Timing.Short);

        bool isForProcessor = attack.StartsWith("failing-logins", StringComparison.Ordinal);
        string[] broken = [.. result.Broken(isForProcessor ? MaxWaitForProcessor : MaxWait)];
        string harmed = string.Join("; ", result.Harmed);
        Assert.True(broken.Length == 0, $"{string.Join("; ", broken)}. {result.Outcome.Summary}. {harmed}\n{result.EcmState}");
    }

    /// <summary>They are there to be compared with: what becomes of their clients is not for these tests.</summary>
    [Theory]
    [InlineData("haproxy")]
    [InlineData("ejabberd")]
    public async Task An_attack_can_be_played_against_others(string peer)
    {
        Front front = peer == "haproxy" ? Front.HaProxy : Front.Ejabberd;
        AttackResult result = await AttackRun.PlayAsync(AttackList.Make("silent-handshakes"), Timing.Short, front);

        Assert.NotEqual(0, result.Before.Count);
        Assert.NotEqual(0, result.During.Count);
        Assert.InRange(result.Outcome.Actions, result.Attack.MinActions, int.MaxValue);
        Assert.InRange(result.MemoryPeak, 1, long.MaxValue);
    }

    /// <summary>Waits are measured, so no other test runs at the same time.</summary>
    [CollectionDefinition(Alone, DisableParallelization = true)]
    public sealed class Definition;
}

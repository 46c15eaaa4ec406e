using System.Runtime.CompilerServices;
using Megaphone.Fuzz;
using Xunit;
using Xunit.Sdk;

namespace Megaphone.Tests.Fuzz;

/// <summary>A short run of the fuzz targets, the same every time. tests/fuzz/run.sh is the long one.</summary>
public sealed class FuzzTests
{
    private const int Mutations = 3_000;
    private const int Seed = 20_26;

    private static readonly string Tests = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(SourceFile())!, "../.."));
    private static readonly string Corpus = Path.Combine(Tests, "fuzz/corpus");

    public static TheoryData<string> Targets => [.. FuzzTargets.All.Keys];

    [Fact]
    public void Each_target_has_a_corpus_and_each_corpus_a_target() =>
        Assert.Equal(FuzzTargets.All.Keys, Directory.GetDirectories(Corpus).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal));

    [Theory]
    [MemberData(nameof(Targets))]
    public void Each_input_of_the_corpus_has_the_targets_properties(string target)
    {
        foreach (byte[] input in InputsOf(target)) Run(target, input);
    }

    /// <summary>A layout that changes leaves inputs behind that are refused, and then reach nothing.</summary>
    [Fact]
    public void What_the_corpus_hands_over_is_taken_over()
    {
        foreach (byte[] input in InputsOf("handover").Where(input => input[0] != (byte)'f'))
            Assert.NotEmpty(HandoverTarget.TakeOver(input[0], input[1..]));
    }

    [Theory]
    [MemberData(nameof(Targets))]
    public void Mutations_of_the_corpus_have_the_targets_properties(string target)
    {
        Mutator mutator = new(InputsOf(target), Seed);
        for (int i = 0; i < Mutations; i++) Run(target, mutator.Next());
    }

    private static byte[][] InputsOf(string target) =>
        [.. Directory.GetFiles(Path.Combine(Corpus, target)).Order(StringComparer.Ordinal).Select(File.ReadAllBytes)];

    private static void Run(string target, byte[] input)
    {
        try
        {
            FuzzTargets.All[target](input);
        }
        catch (Exception violation)
        {
            string file = Path.Combine(Tests, "../artifacts/fuzz/unit-tests", target);
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            File.WriteAllBytes(file, input);
            throw new XunitException(
                $"{violation.Message}\n  input: {file}\n  again: dotnet run --project tests/fuzz/Megaphone.Fuzz -- {target} {file}", violation);
        }
    }

    private static string SourceFile([CallerFilePath] string file = "") => file;
}

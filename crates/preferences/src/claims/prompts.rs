//! What the judge is asked. The tasks are those of RLAIF-V's `utils/llama3_8b_inference.py`
//! (`wrap_prompt_divide_to_list`, `wrap_prompt_changeq_to_list`, `construct_question_yesno`); the wording is ours.

/// The facts that an answer states.
pub(crate) fn facts(question: &str, answer: &str) -> String {
    format!(
        "Below are a question about a picture and an answer to it. List every fact that the answer states about the \
         picture, each as a sentence that can be understood alone: name what it is about instead of writing \"it\" or \
         \"they\". Leave out opinions, guesses and remarks about the picture as a whole.\n\n\
         Question: {question}\n\nAnswer: {answer}\n\n\
         Reply with one fact a line, each line beginning with \"- \", and nothing else."
    )
}

/// Claims as general questions.
pub(crate) fn questions(claims: &[String]) -> String {
    let list: String = claims.iter().map(|claim| format!("- {claim}\n")).collect();
    format!(
        "Rewrite each of these statements as a question that is answered with yes or no, yes where the statement is \
         true. Keep the tense, add nothing, and keep every \"not\" and \"no\".\n\n{list}\n\
         Reply with one question a line, each line beginning with \"- \", in the same order, and nothing else."
    )
}

/// The question about a claim that is quoted.
pub(crate) fn statement(claim: &str) -> String {
    format!("Is this statement about the picture correct? \"{claim}\" Please answer yes or no.")
}

/// A question that a model made.
pub(crate) fn general(question: &str) -> String {
    format!("{question} Please answer yes or no.")
}
